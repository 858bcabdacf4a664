package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// entity stands for a row of the database: one value, and the change log that the triggers would write. Its kind reads it through the cache.
type entity struct {
	*testenv.Env
	kind   *cache.Kind
	key    string
	value  atomic.Int64
	loads  atomic.Int64
	onLoad atomic.Pointer[func()] // runs after the load has read
	short  atomic.Bool            // the load gives its entry a TTL
}

func newEntity(t testing.TB, e *testenv.Env) *entity {
	x := &entity{Env: e, key: "thing:1"}
	x.kind = x.open(e.Program, "v1")
	return x
}

// open is the same entity as another process, or another version of the program, sees it.
func (x *entity) open(p *app.Program, fingerprint string) *cache.Kind {
	return p.Cache.Kind("thing:", format(fingerprint), x.load)
}

func (x *entity) load(context.Context, string) (cache.Entry, error) {
	x.loads.Add(1)
	v := strconv.FormatInt(x.value.Load(), 10)
	if f := x.onLoad.Load(); f != nil {
		(*f)()
	}
	e := cache.Entry{Bytes: []byte(v), Now: time.Now()}
	if x.short.Load() {
		e.TTL = time.Minute
	}
	return e, nil
}

// during has f run in the next load, after it has read.
func (x *entity) during(f func()) {
	var once atomic.Bool
	g := func() {
		if once.CompareAndSwap(false, true) {
			f()
		}
	}
	x.onLoad.Store(&g)
}

// change commits a change as the web application does: without telling anybody but the log.
func (x *entity) change(t testing.TB) {
	t.Helper()
	x.value.Add(1)
	x.log(t, x.key)
}

func (x *entity) log(t testing.TB, key string) {
	t.Helper()
	x.OwnerExec(t, `INSERT INTO game.cache_change AS c (key, xid) VALUES ($1, pg_current_xact_id())
		ON CONFLICT (key) DO UPDATE SET xid = excluded.xid`, key)
}

// age makes the watermark older, as if that time had passed without a sync.
func (x *entity) age(t testing.TB, d time.Duration) {
	t.Helper()
	x.AgeWatermark(t, d)
}

func read(t testing.TB, k *cache.Kind) int64 {
	t.Helper()
	e, err := k.Get(t.Context(), "1")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	text, inProcess := e.Value.(string)
	if !inProcess {
		text = string(e.Bytes)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("Get returned %q", text)
	}
	return n
}

func (x *entity) wantRead(t testing.TB, when string, want, loads int64) {
	t.Helper()
	before := x.loads.Load()
	if got := read(t, x.kind); got != want {
		t.Errorf("%s: read %d, want %d", when, got, want)
	}
	if n := x.loads.Load() - before; n != loads {
		t.Errorf("%s: %d loads, want %d", when, n, loads)
	}
}

// warm fills the cache. On a busy machine the watermark may be too old for some of its reads.
func (x *entity) warm(t testing.TB) {
	t.Helper()
	for range 100 {
		before := x.loads.Load()
		if got := read(t, x.kind); got != x.value.Load() {
			t.Fatalf("read %d, want %d", got, x.value.Load())
		}
		if x.loads.Load() == before {
			return
		}
	}
	t.Fatal("100 reads and no hit")
}

func TestHitAndMiss(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.wantRead(t, "cold", 0, 1)
		x.wantRead(t, "cached", 0, 0)
		for key, ttl := range map[string]time.Duration{x.key: e.Redis.Client.TTL(t.Context(), x.key).Val()} {
			if ttl <= 0 || ttl > cache.DefaultTTL {
				t.Errorf("TTL of %s = %v, want within (0, %v]", key, ttl, cache.DefaultTTL)
			}
		}
		e.Redis.Client.PExpire(t.Context(), x.key, time.Minute)
		other := x.open(e.Program, "v2")
		if got := read(t, other); got != 0 || x.loads.Load() != 2 {
			t.Errorf("another format: read %d after %d loads, want its own load", got, x.loads.Load())
		}
		x.wantRead(t, "first format after the second", 0, 0)
		if ttl := e.Redis.Client.PTTL(t.Context(), x.key).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("the second format's fill made the first one's life %v, want at most what it was, 1m", ttl)
		}
	})
}

func TestExternalChange(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		x.change(t)
		x.age(t, cache.MaxStaleness/4+10*time.Millisecond)
		// A reader that finds the watermark old syncs, but may serve what it has read: that is not staler than MaxStaleness.
		before := x.loads.Load()
		read(t, x.kind)
		if got := read(t, x.kind); got != 1 || x.loads.Load() != before+1 {
			t.Errorf("after the sync: read %d after %d loads, want 1 after one", got, x.loads.Load()-before)
		}
		x.wantRead(t, "cached again", 1, 0)
		x.change(t)
		x.age(t, cache.MaxStaleness+time.Millisecond)
		x.wantRead(t, "watermark older than MaxStaleness", 2, 1)
	})
}

func TestOwnWrite(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		other := e.Open(t)
		x.warm(t)
		x.change(t)
		other.Cache.Invalidate(t.Context(), x.key)
		x.wantRead(t, "after another process's write", 1, 1)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		x.change(t)
		other.Cache.Invalidate(canceled, x.key)
		x.wantRead(t, "after a write whose caller is gone", 2, 1)
	})
}

// A value that was read before a change must not be written after it.
func TestFillAfterInvalidation(t *testing.T) {
	t.Parallel()
	for name, invalidate := range map[string]func(*testing.T, *entity){
		"own write": func(t *testing.T, x *entity) { x.Program.Cache.Invalidate(t.Context(), x.key) },
		"sync": func(t *testing.T, x *entity) {
			x.age(t, cache.MaxStaleness/2)
			p := x.Open(t)
			other := p.Cache.Kind("other:", format("v1"), func(context.Context, string) (cache.Entry, error) { return cache.Entry{}, nil })
			if _, err := other.Get(t.Context(), "1"); err != nil || p.Cache.Stats().Syncs != 1 {
				t.Errorf("no sync: %v, %+v", err, p.Cache.Stats())
			}
		},
		"new epoch": func(t *testing.T, x *entity) {
			x.log(t, "*")
			x.age(t, cache.MaxStaleness/2)
			read(t, x.open(x.Open(t), "v2"))
		},
		"flush":            func(t *testing.T, x *entity) { x.Redis.Client.FlushAll(t.Context()) },
		"evicted":          func(t *testing.T, x *entity) { x.Redis.Client.Del(t.Context(), x.key) },
		"watermark is out": func(t *testing.T, x *entity) { x.Redis.Client.Del(t.Context(), x.Watermark(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				x := newEntity(t, e)
				read(t, x.open(e.Open(t), "other")) // there is a watermark
				x.during(func() {
					x.change(t)
					invalidate(t, x)
				})
				if got := read(t, x.kind); got != 0 {
					t.Errorf("the reader that began before the change read %d, want 0", got)
				}
				x.wantRead(t, "after the change", 1, 1)
				if s := e.Program.Cache.Stats(); s.RefusedFills != 1 {
					t.Errorf("refused fills: %d, want 1 (%+v)", s.RefusedFills, s)
				}
			})
		})
	}
}

// One reader at a time fills; the others read the database and leave the lease alone.
func TestLeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		read(t, x.open(e.Program, "other"))
		second := x.open(e.Open(t), "v1")
		x.during(func() {
			if got := read(t, second); got != 0 {
				t.Errorf("the second reader read %d", got)
			}
		})
		x.wantRead(t, "the holder of the lease", 0, 2)
		x.wantRead(t, "cached", 0, 0)
	})
}

func TestLoadFails(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	gone := errors.New("gone")
	k := e.Program.Cache.Kind("thing:", format("v1"), func(context.Context, string) (cache.Entry, error) { return cache.Entry{}, gone })
	for range 2 {
		if _, err := k.Get(t.Context(), "1"); !errors.Is(err, gone) {
			t.Errorf("Get = %v, want the load's error", err)
		}
	}
	if s := e.Program.Cache.Stats(); s.Fills != 0 {
		t.Errorf("%d fills, want none", s.Fills)
	}
}

func TestShorterTTL(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		k := e.Program.Cache.Kind("thing:", format("v1"), func(context.Context, string) (cache.Entry, error) {
			return cache.Entry{Bytes: []byte("x"), TTL: 10 * time.Second}, nil
		})
		for id := range 20 {
			if _, err := k.Get(t.Context(), fmt.Sprint(id)); err != nil {
				t.Fatal(err)
			}
			if ttl := e.Redis.Client.PTTL(t.Context(), fmt.Sprint("thing:", id)).Val(); ttl <= 0 || ttl > 10*time.Second {
				t.Errorf("TTL = %v, want within (0, 10 s]", ttl)
			}
		}
	})
}
