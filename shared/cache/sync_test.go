package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

func wm(t testing.TB, e *testenv.Env, field string) string {
	t.Helper()
	return e.Redis.Client.HGet(t.Context(), e.Watermark(t), field).Val()
}

// What makes every older value worthless must also make it unreadable.
func TestNewEpoch(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]func(*testing.T, *entity){
		"a table was truncated": func(t *testing.T, x *entity) { x.log(t, "*") },
		"more changes than it pays to list": func(t *testing.T, x *entity) {
			x.OwnerExec(t, `INSERT INTO game.cache_change SELECT 'thing:' || n, pg_current_xact_id() FROM generate_series(1, 10001) AS n`)
		},
		"a snapshot of another epoch": func(t *testing.T, x *entity) {
			x.StampWatermark(t, 1, strings.Repeat("f", 16), 1)
		},
		"no snapshot":             func(t *testing.T, x *entity) { x.Redis.Client.HDel(t.Context(), x.Watermark(t), "s") },
		"a snapshot that is none": func(t *testing.T, x *entity) { x.Redis.Client.HSet(t.Context(), x.Watermark(t), "s", "garbage") },
		"no epoch":                func(t *testing.T, x *entity) { x.Redis.Client.HDel(t.Context(), x.Watermark(t), "e") },
		"no watermark":            func(t *testing.T, x *entity) { x.Redis.Client.Del(t.Context(), x.Watermark(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				x := newEntity(t, e)
				x.warm(t)
				x.value.Add(1) // and the log does not name it
				old := wm(t, e, "e")
				cause(t, x)
				if wm(t, e, "t") != "" {
					x.age(t, 2*cache.MaxStaleness)
				}
				x.wantRead(t, "after it", 1, 1)
				if got := wm(t, e, "e"); got == old || len(got) != 16 {
					t.Errorf("epoch %q after %q, want a new one", got, old)
				}
				x.wantRead(t, "cached again", 1, 0)
			})
		})
	}
}

func TestSyncKeepsWhatDidNotChange(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		epoch := wm(t, e, "e")
		x.OwnerExec(t, `INSERT INTO game.cache_change SELECT 'other:' || n, pg_current_xact_id() FROM generate_series(1, 1000) AS n`)
		x.age(t, 2*cache.MaxStaleness)
		x.wantRead(t, "after 1,000 other changes", 0, 0)
		if got := wm(t, e, "e"); got != epoch {
			t.Errorf("epoch %q, want %q as before", got, epoch)
		}
	})
}

// A transaction that began before a sync and commits after it has a smaller id than others that the sync has seen.
func TestLongTransaction(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		tx, err := e.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		if _, err := tx.Exec(t.Context(), `INSERT INTO game.cache_change VALUES ($1, pg_current_xact_id())`, x.key); err != nil {
			t.Fatal(err)
		}
		x.log(t, "other:1") // a later id, committed
		x.warm(t)
		x.age(t, 2*cache.MaxStaleness)
		x.wantRead(t, "synced while the transaction is open", 0, 0)
		x.value.Add(1)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		x.age(t, 2*cache.MaxStaleness)
		x.wantRead(t, "synced after its commit", 1, 1)
	})
}

// A sync that was overtaken must not publish what it saw.
func TestOvertakenSync(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		held := make(chan struct{})
		e.PGProxy.OnSend(func(b []byte) {
			if bytes.Contains(b, []byte("cache_change")) || bytes.Contains(b, []byte("stmtcache")) {
				e.PGProxy.OnSend(nil)
				<-held
			}
		})
		x.age(t, cache.MaxStaleness/2)
		done := make(chan struct{}, 1)
		get := func() {
			if _, err := x.kind.Get(context.Background(), "1"); err != nil {
				t.Errorf("Get: %v", err)
			}
			done <- struct{}{}
		}
		go get()
		// Another process syncs meanwhile: it finds no lock, as if that had expired.
		for e.Redis.Client.Exists(t.Context(), e.SyncLock(t)).Val() == 0 {
			select {
			case <-done: // on a busy machine Redis may answer late, and then this read does not sync
				x.age(t, cache.MaxStaleness/2)
				go get()
			case <-t.Context().Done():
				return
			default:
			}
		}
		e.Redis.Client.HSet(t.Context(), e.Watermark(t), "s", "1:1:", "t", "1", "c", wm(t, e, "c"))
		close(held)
		<-done
		if got := wm(t, e, "s"); got != "1:1:" {
			t.Errorf("wm s = %q: the overtaken sync published", got)
		}
	})
}

// Without the database nothing moves the watermark, and nothing staler than MaxStaleness is served.
func TestNoSyncWithoutDatabase(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		e.PGProxy.Refuse()
		x.age(t, cache.MaxStaleness/2)
		x.wantRead(t, "younger than MaxStaleness", 0, 0)
		x.age(t, cache.MaxStaleness)
		x.wantRead(t, "older than MaxStaleness, another sync has just failed", 0, 1)
		x.wantRead(t, "and not filled", 0, 1)
		// The reader whose turn it is to sync learns that the database is down, and does not ask it twice.
		for err := error(nil); !errors.Is(err, postgres.ErrUnavailable); {
			x.Redis.Client.Del(t.Context(), x.SyncLock(t))
			if _, err = x.kind.Get(t.Context(), "1"); t.Context().Err() != nil {
				return
			}
		}
		x.Redis.Client.Del(t.Context(), x.SyncLock(t)) // the pause after a failed sync
		e.PGProxy.Accept()
		for e.Program.Cache.Stats().Hits < 3 {
			_, _ = x.kind.Get(t.Context(), "1") // until it has healed
			x.Redis.Client.Del(t.Context(), x.SyncLock(t))
		}
	})
}

// A watermark from the future, after a failover to a node whose clock is behind, proves nothing.
func TestWatermarkFromTheFuture(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		x.value.Add(1)
		x.log(t, x.key)
		x.age(t, -time.Hour)
		x.wantRead(t, "watermark of the future", 1, 1)
	})
}

// The database's clock comes with a hit, for deadlines.
func TestDatabaseClock(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		var before, after time.Time
		if err := e.Owner.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&before); err != nil {
			t.Fatal(err)
		}
		// The clock of a hit is behind by at most MaxStaleness, and never ahead.
		got, err := x.kind.Get(t.Context(), "1")
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Owner.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&after); err != nil {
			t.Fatal(err)
		}
		if got.Now.Before(before.Add(-cache.MaxStaleness-2*time.Millisecond)) || got.Now.After(after) {
			t.Errorf("Now = %v, want between %v less %v and %v", got.Now, before, cache.MaxStaleness, after)
		}
	})
}

func TestManyKeys(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	k := e.Program.Cache.Kind("many:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
		return cache.Entry{Bytes: []byte(id)}, nil
	})
	for range 2 {
		for i := range 100 {
			got, err := k.Get(t.Context(), fmt.Sprint(i))
			if err != nil || string(got.Bytes) != fmt.Sprint(i) {
				t.Fatalf("Get(%d) = %q, %v", i, got.Bytes, err)
			}
		}
	}
	if s := e.Program.Cache.Stats(); s.Hits != 100 || s.Misses != 100 {
		t.Errorf("%+v, want 100 hits and 100 misses", s)
	}
}

// TestSlowSync has a reader whose watermark is fresh at its lookup, and too old when its sync has ended.
func TestSlowSync(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		var later atomic.Int64
		e.Program.Cache.SetNow(func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
		x := newEntity(t, e)
		x.wantRead(t, "cold", 0, 1)
		x.age(t, cache.MaxStaleness*6/10)
		x.change(t)
		e.PGProxy.OnSend(func([]byte) { later.Store(int64(cache.MaxStaleness / 2)) })
		x.wantRead(t, "after a sync that took half of MaxStaleness", 1, 1)
	})
}
