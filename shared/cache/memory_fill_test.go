package cache_test

import (
	"errors"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Each of these happens after a reader has read the entity, and before it fills.
func TestMemoryFillAfterAChange(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*testing.T, *kept){
		"the change":                  func(*testing.T, *kept) {},
		"the change and a later sync": func(_ *testing.T, x *kept) { x.Sync() },
		"the change, and its name is forgotten": func(_ *testing.T, x *kept) {
			x.ForgetNamesAfter(0)
			x.Sync()
		},
		"a new era": func(t *testing.T, x *kept) { x.log(t, "*") },
		"an error, and a new position": func(_ *testing.T, x *kept) {
			fails := true
			x.Answers(func(*postgres.Changes) error {
				defer func() { fails = false }()
				if fails {
					return errors.New("an error")
				}
				return nil
			})
			x.Sync()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onMiniredis(t, func(t *testing.T, x *kept) {
				x.Sync()
				x.during(func() {
					x.change(t)
					happens(t, x)
					x.Sync()
				})
				if got := read(t, x.kind); got != 0 {
					t.Errorf("the reader that began before the change read %d, want 0", got)
				}
				x.wantServed(t, "after the change", false)
				if n := x.Program.Cache.Stats().MemoryRefusedFills; n != 1 {
					t.Errorf("refused fills: %d, want 1", n)
				}
			})
		})
	}
}

// A ticket that was taken without a position fills nothing: it is not known what changed since.
func TestMemoryFillWithoutAPosition(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.during(func() {
			x.change(t)
			x.Sync()
		})
		read(t, x.kind)
		x.wantServed(t, "after the first sync", false)
	})
}

// Redis may serve a value that is up to MaxStaleness old. The process must not keep it if a sync of its own has seen, or may
// have seen, a change that the value lacks.
func TestMemoryFillFromRedis(t *testing.T) {
	t.Parallel()
	const minute = int64(time.Minute / time.Millisecond)
	for name, test := range map[string]struct {
		// happens while Redis has the value, and returns the database's clock at which Redis vouches for it.
		happens func(*testing.T, *kept) int64
		fills   bool
	}{
		"no change": {func(_ *testing.T, x *kept) int64 { return x.syncAt(0) + 1 }, true},
		"a sync has named the change": {func(t *testing.T, x *kept) int64 {
			x.syncAt(0)
			x.change(t)
			return x.syncAt(minute)
		}, false},
		"a sync has named the change, and the name is forgotten": {func(t *testing.T, x *kept) int64 {
			x.ForgetNamesAfter(0)
			x.syncAt(0)
			x.change(t)
			return x.syncAt(minute)
		}, false},
		"the position was taken after the change": {func(t *testing.T, x *kept) int64 {
			x.change(t)
			return x.syncAt(0)
		}, false},
		"the position was taken anew after the change": {func(t *testing.T, x *kept) int64 {
			x.syncAt(0)
			x.change(t)
			x.log(t, "*")
			return x.syncAt(minute)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachKept(t, func(t *testing.T, x *kept) {
				for range 20 {
					if x.readFromRedis(t, test.happens) {
						x.wantServed(t, "then", test.fills)
						return
					}
					x = newKept(t, "miniredis") // on a busy machine the watermark was too old
				}
				t.Error("20 times nothing was read from Redis")
			})
		})
	}
}

// syncAt syncs, with the database's clock set forward, and returns that clock.
func (x *kept) syncAt(forward int64) (now int64) {
	x.Answers(func(c *postgres.Changes) error {
		c.NowMS += forward
		now = c.NowMS
		return nil
	})
	x.Sync()
	return now
}

// readFromRedis reads what Redis has of before something happens.
func (x *kept) readFromRedis(t *testing.T, happens func(*testing.T, *kept) int64) (played bool) {
	t.Helper()
	x.warm(t)
	d := happens(t, x)
	x.StampWatermark(t, x.Redis.Client.Time(t.Context()).Val().UnixMilli(), wm(t, x.Env, "e"), d)
	before := x.Program.Cache.Stats().Hits
	got := read(t, x.kind)
	if x.Program.Cache.Stats().Hits == before {
		return false
	}
	if got != 0 {
		t.Errorf("read %d from Redis, which has 0", got)
	}
	return true
}

// A value that was sealed for another database is not kept in this one's era.
func TestMemoryFillOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		promoted := func(t *testing.T, x *kept) int64 {
			x.Answers(func(c *postgres.Changes) error { c.Cluster += "/promoted"; return nil })
			now := x.syncAt(0)
			read(t, x.open(x.Program, "v2")) // whose sync still reaches the database before
			return now + 1
		}
		for range 20 {
			if x.readFromRedis(t, promoted) {
				x.wantServed(t, "what Redis had of the database before", false)
				return
			}
			x = newKept(t, "miniredis")
		}
		t.Error("20 times nothing was read from Redis")
	})
}

// A value that came from Redis lives there and in the process for one TTL together.
func TestMemoryTTLOfWhatRedisHad(t *testing.T) {
	t.Parallel()
	x := newKept(t, "miniredis")
	now := x.Redis.Client.Time(t.Context()).Val()
	x.Redis.Mini.SetTime(now)
	x.warm(t)
	later := now.Add(cache.DefaultTTL - time.Minute)
	x.Redis.Mini.SetTime(later)
	x.StampWatermark(t, later.UnixMilli(), wm(t, x.Env, "e"), x.syncAt(0)+1)
	x.wantRead(t, "from Redis", 0, 0)
	for _, test := range []struct {
		more   time.Duration
		served bool
	}{{50 * time.Second, true}, {11 * time.Second, false}} {
		x.Advance(test.more, test.more)
		x.Sync()
		x.wantServed(t, "after "+test.more.String()+" more", test.served)
	}
}

// A value lives for the cache's TTL.
func TestMemoryTTL(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.keep(t)
		x.Advance(cache.DefaultTTL+1, cache.DefaultTTL+1)
		x.Sync()
		x.wantServed(t, "after the TTL", false)
	})
}
