package cache_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// The bytes of a hit are the reader's own, whatever is read after it.
func TestBytesAreTheReadersOwn(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		k := e.Program.Cache.Kind("thing:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
			return cache.Entry{Bytes: []byte("thing " + id)}, nil
		})
		get := func(id string) []byte {
			entry, err := k.Get(t.Context(), id)
			if err != nil {
				t.Fatalf("Get: %v", err)
			}
			return entry.Bytes
		}
		const hits = 20
		for before := e.Program.Cache.Stats().Hits; e.Program.Cache.Stats().Hits < before+hits; {
			one, two := get("1"), get("2")
			if string(one) != "thing 1" || string(two) != "thing 2" {
				t.Fatalf("read %q and %q, want things 1 and 2", one, two)
			}
		}
	})
}

// A value is served under its own key only: what lies under another's is none.
func TestValueOfAnotherKey(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		k := e.Program.Cache.Kind("thing:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
			return cache.Entry{Bytes: []byte("thing " + id)}, nil
		})
		get := func(id string) string {
			entry, err := k.Get(t.Context(), id)
			if err != nil {
				t.Fatalf("Get: %v", err)
			}
			return string(entry.Bytes)
		}
		value := func(id string) string { return e.Redis.Client.HGet(t.Context(), "thing:"+id, "v1"+e.CacheTag(t)).Val() }
		for value("1") == "" {
			get("1")
		}
		for range 5 { // on a busy machine the watermark may be too old for one of them
			e.Redis.Client.HSet(t.Context(), "thing:2", "v1"+e.CacheTag(t), value("1"))
			if got := get("2"); got != "thing 2" {
				t.Errorf("Get 2 = %q", got)
			}
		}
	})
}

// A value of another epoch is not served, neither by a hit nor by the lease, and it is replaced. Only its epoch shows that
// it is too old: no change of the entity is logged.
func TestValueOfAnotherEpoch(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		x.value.Add(1)
		fills := e.Program.Cache.Stats().Fills
		for range 100 { // on a busy machine the watermark may be too old for a fill
			now := e.Redis.Client.Time(t.Context()).Val().UnixMilli()
			e.StampWatermark(t, now, strings.Repeat("x", 16), now)
			if got := read(t, x.kind); got != 1 {
				t.Fatalf("read %d, a value of another epoch", got)
			}
			if e.Program.Cache.Stats().Fills > fills {
				return
			}
		}
		t.Error("100 reads and no fill")
	})
}

// A panic in a load is its own reader's: the key can be read again.
func TestLoadPanics(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	var loads atomic.Int64
	k := e.Program.Cache.Kind("thing:", format("v1"), func(context.Context, string) (cache.Entry, error) {
		if loads.Add(1) == 1 {
			panic("in a load")
		}
		return cache.Entry{Bytes: []byte("ok")}, nil
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the reader whose load panicked heard nothing of it")
			}
		}()
		_, _ = k.Get(t.Context(), "1")
	}()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience) // only so that it ends where the key is blocked
	defer cancel()
	if entry, err := k.Get(ctx, "1"); err != nil || string(entry.Bytes) != "ok" {
		t.Errorf("Get after a panic = %q, %v, want ok", entry.Bytes, err)
	}
}

// A reader waits for another's load, and meanwhile an own write cannot be deleted from Redis. When its turn comes, Redis
// offers what another process had put there before the write.
func TestWriteWhileReaderWaits(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		other := x.open(e.Open(t, func(c *app.Options) { c.RedisURL = "redis://" + e.Redis.Addr }), "v1")
		for range 2 { // the second under a watermark
			if _, err := other.Get(t.Context(), "another key"); err != nil {
				t.Fatal(err)
			}
		}
		inside, release := make(chan struct{}), make(chan struct{})
		x.during(func() {
			close(inside)
			<-release
		})
		get := func(into chan<- string) {
			entry, err := x.kind.Get(context.Background(), "1")
			if err != nil {
				t.Errorf("Get: %v", err)
			}
			into <- string(entry.Bytes)
		}
		first, second := make(chan string, 1), make(chan string, 1)
		stats := e.Program.Cache.Stats
		go get(first)
		<-inside
		asked := func() uint64 { return stats().Misses + stats().Untrusted }
		go get(second)
		for asked() < 2 {
			time.Sleep(time.Millisecond)
		}
		e.Redis.Client.Del(t.Context(), x.key) // the first reader's lease is evicted
		read(t, other)                         // and this process fills
		e.RDProxy.Refuse()
		x.change(t)
		e.Program.Cache.Invalidate(t.Context(), x.key)
		e.RDProxy.Accept()
		if n := stats().FailedDeletes; n != 1 {
			t.Errorf("failed deletes: %d, want 1", n)
		}
		close(release)
		<-first // which read before the write, and may say so
		if got := <-second; got != "1" {
			t.Errorf("the reader whose load began after the write read %s, want 1", got)
		}
	})
}
