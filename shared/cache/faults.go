package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	breakAfter = 3                      // failures in a row that open the breaker
	breakFor   = 250 * time.Millisecond // from then to the next try
)

// breaker keeps requests from waiting for a Redis that does not answer: after some failures in a row nobody asks it,
// but one request each 250 ms that tries.
type breaker struct {
	failures atomic.Int32
	nextTry  atomic.Pointer[time.Time]
}

func (b *breaker) allow(now func() time.Time) bool {
	if b.failures.Load() < breakAfter {
		return true
	}
	next, t := b.nextTry.Load(), now()
	later := t.Add(breakFor)
	return (next == nil || !t.Before(*next)) && b.nextTry.CompareAndSwap(next, &later)
}

func (b *breaker) success() {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
}

func (b *breaker) failure(now func() time.Time) {
	if b.failures.Add(1) == breakAfter {
		later := now().Add(breakFor)
		b.nextTry.Store(&later)
	}
}

// bypass holds the keys that this process has changed without being able to delete them from Redis.
type bypass struct {
	n  atomic.Int32 // keys in m, so that a hit takes no lock
	mu sync.Mutex
	m  map[string]time.Time
}

func (b *bypass) add(until time.Time, keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[string]time.Time{}
	}
	for k, t := range b.m {
		if until.Sub(t) > MaxStaleness { // until is now + P: t has passed
			delete(b.m, k)
		}
	}
	for _, k := range keys {
		b.m[k] = until
	}
	b.n.Store(int32(len(b.m)))
}

func (b *bypass) has(key string, now func() time.Time) bool {
	if b.n.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.m[key]
	if ok && now().After(until) {
		delete(b.m, key)
		b.n.Store(int32(len(b.m)))
		return false
	}
	return ok
}
