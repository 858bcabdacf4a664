package cache_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// watchedStore runs code around the steps of the tier.
type watchedStore struct {
	cache.Store
	afterGet, beforeDelete atomic.Pointer[func()]
}

func once(at *atomic.Pointer[func()]) {
	if f := at.Swap(nil); f != nil {
		(*f)()
	}
}

func (s *watchedStore) Get(name cache.Name) (cache.Kept, bool) {
	k, ok := s.Store.Get(name)
	if ok {
		once(&s.afterGet)
	}
	return k, ok
}

func (s *watchedStore) Delete(name cache.Name) {
	once(&s.beforeDelete)
	s.Store.Delete(name)
}

// kept is an entity that is also kept in the process.
type kept struct {
	*entity
	*cache.Tier
	store *watchedStore
}

func eachKept(t *testing.T, f func(t *testing.T, x *kept)) {
	t.Helper()
	for _, kind := range testenv.RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, newKept(t, kind))
		})
	}
}

// onMiniredis is for what does not depend on Redis.
func onMiniredis(t *testing.T, f func(t *testing.T, x *kept)) {
	t.Helper()
	f(t, newKept(t, "miniredis"))
}

func newKept(t *testing.T, redisKind string) *kept {
	store := &watchedStore{Store: memory.New(1 << 20)}
	e := testenv.New(t, testenv.Variants[0], redisKind, func(o *app.Options) { o.Memory = store })
	x := &kept{newEntity(t, e), e.Program.Cache.DriveMemory(), store}
	x.kind.InProcess(func(b []byte) (any, error) { return string(b), nil })
	return x
}

// keep has the process keep the entity.
func (x *kept) keep(t *testing.T) {
	t.Helper()
	x.Sync()
	read(t, x.kind)
	x.wantServed(t, "kept", true)
}

func (x *kept) wantServed(t *testing.T, when string, want bool) {
	t.Helper()
	if value, got := x.Serves(x.key); got != want {
		t.Errorf("%s: the process serves %q: %v, want %v", when, value, got, want)
	}
}

func TestMemoryHit(t *testing.T) {
	t.Parallel()
	eachKept(t, func(t *testing.T, x *kept) {
		x.keep(t)
		x.RDProxy.Refuse()
		x.PGProxy.Refuse()
		before := x.Program.Cache.Stats().MemoryHits
		x.wantRead(t, "with neither server", 0, 0)
		if n := x.Program.Cache.Stats().MemoryHits; n != before+1 {
			t.Errorf("%d hits in the process, want 1", n-before)
		}
	})
}

// A value is served for MaxStaleness after the sync began, by the clock that has advanced more.
func TestMemoryAge(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		boot, wall time.Duration
		served     bool
	}{
		"at the bound":                     {cache.MaxStaleness, cache.MaxStaleness, true},
		"older by both clocks":             {cache.MaxStaleness + 1, cache.MaxStaleness + 1, false},
		"older by the clock since boot":    {cache.MaxStaleness + 1, 0, false},
		"older by the wall clock":          {0, cache.MaxStaleness + 1, false},
		"the wall clock was set back":      {0, -1, false},
		"the clock since boot began again": {-1, 0, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			onMiniredis(t, func(t *testing.T, x *kept) {
				x.keep(t)
				x.Advance(test.boot, test.wall)
				x.wantServed(t, what, test.served)
			})
		})
	}
}

// The position's age counts from the begin of its sync: the change log answers later than it was read.
func TestMemoryAgeCountsFromTheBegin(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.keep(t)
		x.Answers(func(*postgres.Changes) error {
			x.Advance(cache.MaxStaleness+1, cache.MaxStaleness+1)
			return nil
		})
		x.Sync()
		x.wantServed(t, "after a sync that took longer than the bound", false)
	})
}

// A sync starts only for a read, SyncAge after the last one began.
func TestMemorySyncStarts(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		for range 3 {
			x.Serves(x.key)
		}
		if n := x.Starts.Load(); n != 1 {
			t.Errorf("without a position, 3 reads started %d syncs, want 1", n)
		}
		x.keep(t)
		x.Starts.Store(0)
		x.Advance(cache.SyncAge, cache.SyncAge)
		x.Serves(x.key)
		if n := x.Starts.Load(); n != 0 {
			t.Errorf("%d syncs at SyncAge, want 0", n)
		}
		x.Advance(1, 1)
		for range 3 {
			x.wantServed(t, "while a sync is due", true)
		}
		if n := x.Starts.Load(); n != 1 {
			t.Errorf("3 reads after SyncAge started %d syncs, want 1", n)
		}
	})
}

// Each of these makes what the process has worthless.
func TestMemoryForgets(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]func(*testing.T, *kept){
		"the change log names the entity": func(t *testing.T, x *kept) { x.log(t, x.key) },
		"a table was truncated":           func(t *testing.T, x *kept) { x.log(t, "*") },
		"more changes than it pays to list": func(t *testing.T, x *kept) {
			x.OwnerExec(t, `INSERT INTO game.cache_change SELECT 'other:' || n, pg_current_xact_id() FROM generate_series(1, 10001) AS n`)
		},
		"another database": func(t *testing.T, x *kept) { x.OwnerExec(t, `UPDATE game.cache_key SET key = DEFAULT`) },
		"an error": func(_ *testing.T, x *kept) {
			x.Answers(func(*postgres.Changes) error { return errors.New("an error") })
		},
		"the database's clock was set back": func(_ *testing.T, x *kept) {
			x.Answers(func(c *postgres.Changes) error { c.NowMS -= time.Hour.Milliseconds(); return nil })
		},
		"users' changes are no longer logged": func(t *testing.T, x *kept) { x.OwnerExec(t, `UPDATE game.adapter SET user_trigger = false`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onMiniredis(t, func(t *testing.T, x *kept) {
				x.keep(t)
				cause(t, x)
				x.Sync()
				x.wantServed(t, "after it", false)
			})
		})
	}
}

// The position is read before the value, and the clock after it.
func TestMemoryOrderOfAHit(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*testing.T, *kept){
		"time passes":                     func(*testing.T, *kept) {},
		"time passes, and a sync deletes": func(t *testing.T, x *kept) { x.change(t); x.Sync() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onMiniredis(t, func(t *testing.T, x *kept) {
				x.keep(t)
				between := func() {
					x.Advance(cache.MaxStaleness+1, cache.MaxStaleness+1)
					happens(t, x)
				}
				x.store.afterGet.Store(&between)
				x.wantServed(t, "the value of before", false)
			})
		})
	}
}

// A sync deletes before it publishes its position.
func TestMemoryOrderOfASync(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.keep(t)
		x.change(t)
		x.Advance(cache.MaxStaleness+1, cache.MaxStaleness+1)
		asked := false
		before := func() {
			asked = true
			x.wantServed(t, "before the deletion", false)
		}
		x.store.beforeDelete.Store(&before)
		x.Sync()
		if !asked {
			t.Error("the sync deleted nothing")
		}
	})
}

// An entity whose changes are not logged is not kept.
func TestMemoryKeepsOnlyWhatIsLogged(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.short.Store(true)
		x.Sync()
		read(t, x.kind)
		x.wantServed(t, "an entity with a TTL of its own", false)
	})
}

// The database's clock of an entry is behind that clock, however old the position is.
func TestMemoryDeadlines(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		var said time.Time
		x.Answers(func(c *postgres.Changes) error { said = time.UnixMilli(c.NowMS); return nil })
		x.keep(t)
		x.Advance(cache.MaxStaleness/2, 0)
		entry, err := x.kind.Get(t.Context(), "1")
		if late := said.Add(cache.MaxStaleness / 2).Sub(entry.Now); err != nil || late < 0 || late > 10*time.Millisecond {
			t.Errorf("Get = %v, with a clock that is %v behind the database's; want 0 to 10 ms", err, late)
		}
	})
}

// A pointer is kept for the database that it was set for.
func TestMemoryPointer(t *testing.T) {
	t.Parallel()
	eachKept(t, func(t *testing.T, x *kept) {
		c := x.Program.Cache
		pointer := func(when, want string) {
			t.Helper()
			if id, err := c.Pointer(t.Context(), "user:email:", "a@b"); err != nil || id != want {
				t.Errorf("%s: Pointer = %q, %v, want %q", when, id, err, want)
			}
		}
		x.Sync()
		c.SetPointer(t.Context(), "user:email:", "a@b", "u1")
		pointer("from Redis", "u1")
		x.RDProxy.Refuse()
		pointer("from the process", "u1")
		x.RDProxy.Accept()
		x.OwnerExec(t, `UPDATE game.cache_key SET key = DEFAULT`)
		x.Sync()
		pointer("of another database", "")
	})
}
