package oidctoken

import (
	"sync/atomic"
	"time"
)

// SetClock makes an issuer's clock run ahead by the number of seconds in the result.
func SetClock(i *Issuer) *atomic.Int64 {
	var ahead atomic.Int64
	i.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Second) }
	return &ahead
}

// AwaitRenewal returns when no renewal of the keys runs.
func AwaitRenewal(i *Issuer) {
	i.mu.Lock()
	keys := i.keys
	i.mu.Unlock()
	keys.renews.Lock()
	defer keys.renews.Unlock()
}
