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
