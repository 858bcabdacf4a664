package cache_test

import (
	"sync/atomic"
	"testing"
	"time"

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
		c.SetPointer(t.Context(), "user:username:", "alice", "1")
		key := e.Redis.Client.Keys(t.Context(), "user:username:*").Val()[0]
		e.Redis.Client.Del(t.Context(), key)
		e.Redis.Client.RPush(t.Context(), key, "not ours")
		for range 10 {
			if id, err := c.Pointer(t.Context(), "user:username:", "alice"); id != "" || err != nil {
				t.Fatalf("Pointer of a list = %q, %v, want none", id, err)
			}
		}
		c.SetPointer(t.Context(), "user:username:", "alice", "2")
		if id, err := c.Pointer(t.Context(), "user:username:", "alice"); id != "2" || err != nil {
			t.Errorf("Pointer after error replies = %q, %v, want 2", id, err)
		}
	})
}
