package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	breakAfter = 3                      // failures in a row that open the breaker
	breakFor   = 250 * time.Millisecond // until the next try
)

// report counts a failed call, and tells the breaker whether a call was answered. redis.Nil is an answer and no error. An
// error reply (for example to a key of the wrong type) came quickly, so it does not open the breaker. Neither does a
// caller who gave up, nor a connection that this process had not free.
func (c *Cache) report(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		if c.breaker.success() {
			c.outage.changed(&c.breaker, nil)
		}
		return nil
	}
	c.stats.redisErrors.Add(1)
	c.notices.found(diagnose(err, c.cluster))
	if _, answered := errors.AsType[redis.Error](err); !answered && !errors.Is(err, context.Canceled) && !errors.Is(err, redis.ErrPoolTimeout) {
		if c.breaker.failure(c.now) {
			c.outage.changed(&c.breaker, err)
		}
	}
	return err
}

// breaker keeps requests from waiting for a Redis that does not answer. After breakAfter failures in a row it stops all
// calls, except one each breakFor that tries.
type breaker struct {
	failures atomic.Int32
	nextTry  atomic.Pointer[time.Time]
}

func (b *breaker) allow(now func() time.Time) bool {
	if !b.open() {
		return true
	}
	next, t := b.nextTry.Load(), now()
	later := t.Add(breakFor)
	return (next == nil || !t.Before(*next)) && b.nextTry.CompareAndSwap(next, &later)
}

func (b *breaker) open() bool { return b.failures.Load() >= breakAfter }

// success reports whether it may have closed the breaker. The failures that it ends may become more before it ends them, so
// any number of them counts.
func (b *breaker) success() (closed bool) {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
		return true
	}
	return false
}

// failure reports whether it has opened the breaker.
func (b *breaker) failure(now func() time.Time) (opened bool) {
	if b.failures.Add(1) == breakAfter {
		later := now().Add(breakFor)
		b.nextTry.Store(&later)
		return true
	}
	return false
}

// outage reports that Redis does not answer, and that it answers again.
type outage struct {
	report func(error)

	mu    sync.Mutex
	known bool
}

// changed reports the breaker's state if it is another one than was reported last. It is called after each change, and reads
// the state under its lock. So the last report is true, also if two calls change the breaker at the same time.
func (o *outage) changed(b *breaker, err error) {
	if o.report == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch open := b.open(); {
	case open == o.known:
		return
	case !open:
		err = nil // of another call, which has failed before
	case err == nil:
		return // the call that has opened the breaker comes next, with its error
	}
	o.known = !o.known
	o.report(err)
}

// bypass holds the keys that this process has changed and could not delete from Redis.
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
		if until.Sub(t) > MaxStaleness { // until is now + MaxStaleness: t has passed
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
