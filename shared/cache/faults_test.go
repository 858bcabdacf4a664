package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Redis is out: every read is answered by the database, and a write is read back at once when Redis returns with the
// older value in it.
func TestRedisOut(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end func(*entity) }{
		"refused": {func(x *entity) { x.RDProxy.Refuse() }, func(x *entity) { x.RDProxy.Accept() }},
		"hung":    {func(x *entity) { x.RDProxy.Hold() }, func(x *entity) { x.RDProxy.Reset(); x.RDProxy.Release() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				x := newEntity(t, e)
				x.warm(t)
				p := e.Open(t, testenv.RealRedisBudgets)
				start, later := time.Now(), atomic.Int64{}
				p.Cache.SetNow(func() time.Time { return start.Add(time.Duration(later.Load())) })
				x.kind = x.open(p, "v1")
				fault.begin(x)
				for range 5 {
					x.wantRead(t, "redis out", 0, 1)
				}
				x.change(t)
				p.Cache.Invalidate(t.Context(), x.key)
				if s := p.Cache.Stats(); s.FailedDeletes != 1 {
					t.Errorf("failed deletes: %d, want 1", s.FailedDeletes)
				}
				fault.end(x)
				// The old value is still there; only the change log tells other processes. This one knows.
				for range 5 {
					x.wantRead(t, "own write behind the fault", 1, 1)
				}
				e.Redis.Client.Del(t.Context(), e.SyncLock(t))
				e.AgeWatermark(t, 2*cache.MaxStaleness)
				for before := p.Cache.Stats().Hits; p.Cache.Stats().Hits < before+2; {
					later.Add(int64(cache.MaxStaleness)) // it forgets its own write, and tries Redis again
					if got := read(t, x.kind); got != 1 {
						t.Fatalf("read %d after redis came back, want 1", got)
					}
				}
			})
		})
	}
}

// After three failures in a row no read waits for Redis.
func TestBreaker(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		p := e.Open(t, testenv.RealRedisBudgets)
		start := time.Now()
		p.Cache.SetNow(func() time.Time { return start }) // before the next try
		x.kind = x.open(p, "v1")
		e.RDProxy.Hold()
		for range 10 {
			read(t, x.kind)
		}
		s := p.Cache.Stats()
		if s.RedisErrors != 3 || s.Untrusted != 3 || s.Bypassed != 7 {
			t.Errorf("10 reads of a hung redis: %+v, want 3 that asked it and 7 that did not", s)
		}
	})
}

// Error replies are answers: they cost the read its hit, and the others nothing.
func TestErrorReplies(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		t.Run("another type of key", func(t *testing.T) {
			e.Redis.Client.Set(t.Context(), x.key, "not ours", 0)
			x.wantRead(t, "wrong type", 0, 1)
			x.wantRead(t, "after it", 0, 0)
		})
		t.Run("garbage in the watermark", func(t *testing.T) {
			e.Redis.Client.HSet(t.Context(), e.Watermark(t), "t", "garbage")
			before := e.Program.Cache.Stats().Syncs
			x.wantRead(t, "garbage", 0, 0)
			if syncs := e.Program.Cache.Stats().Syncs - before; syncs != 1 {
				t.Errorf("%d syncs, want one that writes a new watermark", syncs)
			}
		})
		t.Run("a short value", func(t *testing.T) {
			e.Redis.Client.Del(t.Context(), e.Watermark(t))
			read(t, x.kind)
			read(t, x.kind)
			e.Redis.Client.HSet(t.Context(), x.key, "v1"+e.CacheTag(t), "x")
			x.wantRead(t, "value without an epoch", 0, 1)
		})
		t.Run("lost scripts", func(t *testing.T) {
			e.Redis.Client.ScriptFlush(t.Context())
			e.Redis.Client.Del(t.Context(), x.key)
			x.wantRead(t, "scripts flushed", 0, 1)
			x.wantRead(t, "filled all the same", 0, 0)
		})
	})
}

// However many read a cold key, they make two loads at most: one that runs, and one for those who came after its start.
func TestHerd(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		read(t, x.open(e.Program, "other")) // a watermark
		x.loads.Store(0)
		const readers = 50 // fewer than connections to Redis, so that none has to do without
		inside, arrived := make(chan struct{}), make(chan struct{})
		x.during(func() {
			close(inside)
			<-arrived
		})
		var wg, started sync.WaitGroup
		get := func() {
			defer wg.Done()
			started.Done()
			if _, err := x.kind.Get(context.Background(), "1"); err != nil {
				t.Errorf("Get: %v", err)
			}
		}
		wg.Add(readers)
		started.Add(readers)
		go get()
		<-inside
		for range readers - 1 {
			go get()
		}
		started.Wait()
		close(arrived)
		wg.Wait()
		// Readers that arrive after the shared load has ended find the value.
		if n := x.loads.Load(); n > 2 {
			t.Errorf("%d loads for %d readers, want at most 2", n, readers)
		}
	})
}

// A reader that begins after a write must not be given what a load that began before it has read.
func TestReaderDoesNotJoinOlderLoad(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	x := newEntity(t, e)
	e.RDProxy.Refuse() // so that only the coalescer can help
	second := make(chan int64)
	x.during(func() {
		x.value.Add(1)
		go func() {
			entry, err := x.kind.Get(context.Background(), "1")
			if err != nil {
				t.Errorf("Get: %v", err)
			}
			second <- int64(entry.Bytes[0] - '0')
		}()
	})
	if got := read(t, x.kind); got != 0 {
		t.Errorf("first reader: %d", got)
	}
	if got := <-second; got != 1 {
		t.Errorf("the reader that began after the write read %d, want 1", got)
	}
}

// A reader whose caller gives up does not take the others with it.
func TestLeaderGivesUp(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	ctx, cancel := context.WithCancel(t.Context())
	inside := make(chan struct{})
	first := true
	k := e.Program.Cache.Kind("thing:", format("v1"), func(ctx context.Context, _ string) (cache.Entry, error) {
		if first {
			first = false
			close(inside)
			<-ctx.Done()
			return cache.Entry{}, ctx.Err()
		}
		return cache.Entry{Bytes: []byte("ok")}, nil
	})
	leader, follower := make(chan error), make(chan error)
	go func() { _, err := k.Get(ctx, "1"); leader <- err }()
	<-inside
	go func() { _, err := k.Get(t.Context(), "1"); follower <- err }()
	cancel()
	if err := <-leader; err == nil {
		t.Error("the leader's Get succeeded")
	}
	if err := <-follower; err != nil {
		t.Errorf("the follower's Get: %v", err)
	}
}
