package cache_test

import (
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// If there are more changes than one sync lists, everything is forgotten: the list is not complete.
func TestMoreChangesThanListed(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		before := e.Program.Cache.Stats()
		x.OwnerExec(t, `INSERT INTO game.cache_change (key, xid)
			SELECT 'other:' || n, pg_current_xact_id() FROM generate_series(1, $1::int) AS n`, postgres.MaxChangedKeys+1)
		for e.Program.Cache.Stats().Syncs == before.Syncs {
			x.age(t, cache.MaxStaleness/2)
			_, _ = x.kind.Get(t.Context(), "1") // a sync on a busy machine may fail
		}
		if s := e.Program.Cache.Stats(); s.NewEpochs != before.NewEpochs+1 {
			t.Errorf("%d new epochs, want one", s.NewEpochs-before.NewEpochs)
		}
	})
}

// The database's clock of a hit advances from the sync's.
func TestDatabaseClockOfAHit(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		const age = 400 * time.Millisecond
		for {
			_, _ = x.kind.Get(t.Context(), "1")
			synced, err := e.Redis.Client.HGet(t.Context(), e.Watermark(t), "d").Int64()
			if err != nil {
				continue
			}
			hits := e.Program.Cache.Stats().Hits
			x.age(t, age) // and d with it
			synced -= age.Milliseconds()
			entry, err := x.kind.Get(t.Context(), "1")
			if err != nil || e.Program.Cache.Stats().Hits == hits {
				continue // a busy machine
			}
			if gone := entry.Now.Sub(time.UnixMilli(synced)); gone < age {
				t.Errorf("a hit says that %v have passed since a sync %v ago", gone, age)
			}
			return
		}
	})
}
