package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Three reads wait for a Redis that hangs, then one each 250 ms, and all are served again once it has answered one.
func TestBreakerTriesOnce(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		p := e.Open(t, testenv.RealRedisBudgets)
		start := time.Now()
		var later atomic.Int64
		p.Cache.SetNow(func() time.Time { return start.Add(time.Duration(later.Load())) })
		x.kind = x.open(p, "v1")
		reads := func(n int) {
			for range n {
				_, _ = x.kind.Get(t.Context(), "1") // a sync on a busy machine may fail
			}
		}
		wantErrors := func(when string, want uint64) {
			t.Helper()
			if s := p.Cache.Stats(); s.RedisErrors != want {
				t.Errorf("%s: %d reads got no answer from redis, want %d", when, s.RedisErrors, want)
			}
		}
		e.RDProxy.Hold()
		reads(8)
		wantErrors("at first", 3)
		for i := range uint64(3) {
			later.Add(int64(250 * time.Millisecond))
			reads(5)
			wantErrors("after another 250 ms", 4+i)
		}
		e.RDProxy.Reset()
		e.RDProxy.Release()
		for range 20 { // a busy machine may not answer within 50 ms at once
			later.Add(int64(250 * time.Millisecond))
			reads(1)
			before := p.Cache.Stats().Bypassed
			reads(5)
			if p.Cache.Stats().Bypassed == before {
				return
			}
		}
		t.Errorf("reads bypass a redis that answers: %+v", p.Cache.Stats())
	})
}

// An error reply is an answer, which opens no breaker. A pointer of another type is not ours, and is replaced.
func TestErrorRepliesOpenNoBreaker(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		c := e.Program.Cache
		full := func(is bool) {
			switch {
			case e.Redis.Mini != nil && is:
				e.Redis.Mini.SetError("OOM command not allowed when used memory > 'maxmemory'.")
			case e.Redis.Mini != nil:
				e.Redis.Mini.SetError("")
			default:
				e.Redis.Client.ConfigSet(t.Context(), "maxmemory", map[bool]string{true: "1", false: "0"}[is])
			}
		}
		c.SetPointer(t.Context(), "user:username:", "alice", "1") // asks for the database's identity
		before := c.Stats().RedisErrors
		full(true)
		for range 10 {
			c.SetPointer(t.Context(), "user:username:", "alice", "1")
		}
		full(false)
		if n := c.Stats().RedisErrors - before; n < 10 {
			t.Fatalf("%d error replies, want 10", n)
		}
		if id, err := c.Pointer(t.Context(), "user:username:", "alice"); id != "1" || err != nil {
			t.Errorf("Pointer after error replies = %q, %v, want 1", id, err)
		}
	})
}

// A connection that this process had not free says nothing about Redis.
func TestFullPoolIsNotAFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		open bool
	}{
		"no free connection": {redis.ErrPoolTimeout, false},
		"no answer":          {context.DeadlineExceeded, true},
	} {
		c := cache.New(redis.NewClient(&redis.Options{}), &postgres.DB{}, cache.Options{})
		for range 10 {
			c.Fail(test.err)
		}
		if got := c.Stats().BreakerOpen; got != test.open {
			t.Errorf("%s: the breaker is open: %v, want %v", name, got, test.open)
		}
	}
}
