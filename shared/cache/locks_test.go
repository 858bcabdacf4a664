package cache_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A lease of a dead reader keeps no other from filling once it has expired.
func TestLeaseOfADeadReader(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		lease := "lv1" + e.CacheTag(t)
		stats := e.Program.Cache.Stats
		for before := stats(); stats().Fills == before.Fills; {
			read(t, x.open(e.Program, "other")) // there is a watermark
			before = stats()
			e.Redis.Client.Del(t.Context(), x.key)
			if err := e.Redis.Client.HSet(t.Context(), x.key, lease, "dead|1").Err(); err != nil {
				t.Fatal(err)
			}
			read(t, x.kind)
			// On a busy machine the watermark may be too old to fill under by now.
			if s := stats(); s.Fills == before.Fills && s.Untrusted == before.Untrusted {
				t.Fatalf("not filled under a lease that has run out: %+v", s)
			}
		}
	})
}

// A sync that fails, or whose process dies, leaves a lock that expires.
func TestSyncLockEnds(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		e.PGProxy.Refuse()
		x.age(t, cache.MaxStaleness/2)
		for {
			_, _ = x.kind.Get(t.Context(), "1") // syncs and fails, if it is this process's turn
			left, err := e.Redis.Client.PTTL(t.Context(), e.SyncLock(t)).Result()
			switch {
			case err != nil:
				t.Fatal(err)
			case left > 0:
				return
			case left == -1: // go-redis' word for a key without an end
				t.Fatal("the lock of a failed sync does not expire")
			}
		}
	})
}
