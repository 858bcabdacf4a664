package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// wallClock is a clock whose monotonic reading stands still during a gap, as on a frozen machine. Otherwise it stands, so that
// a connection is idle only during the gap, on a slow machine too.
type wallClock struct {
	start time.Time
	gap   atomic.Int64
}

func (c *wallClock) now() time.Time {
	if gap := c.gap.Load(); gap > 0 {
		return c.start.Round(0).Add(time.Duration(gap))
	}
	return c.start
}

// frozen is a program after a gap. All connections in its pool are dead.
type frozen struct {
	*testenv.Env
	db    *postgres.DB
	pings atomic.Int64
	clock wallClock
}

func freeze(t *testing.T, n int, gap time.Duration, changes ...func(*app.Options)) *frozen {
	t.Helper()
	f := &frozen{Env: testenv.New(t, "plugins", "miniredis"), clock: wallClock{start: time.Now()}}
	f.db = f.Env.Open(t, append(changes, func(c *app.Options) { c.Concurrency = n })...).DB
	f.db.SetNow(f.clock.now)
	use(t, f.db, n)
	if open, _ := f.db.Open(); open != n {
		t.Fatalf("%d connections are open, want %d", open, n)
	}
	f.PGProxy.OnSend(func(b []byte) {
		if bytes.Contains(b, []byte("-- ping")) {
			f.pings.Add(1)
		}
	})
	f.PGProxy.Silence()
	f.clock.gap.Store(int64(gap))
	return f
}

// use opens n connections by n concurrent reads.
func use(t *testing.T, db *postgres.DB, n int) {
	t.Helper()
	var all sync.WaitGroup
	all.Add(n)
	errs := make(chan error)
	for range n {
		go func() {
			errs <- db.Write(context.Background(), func(context.Context, postgres.Querier) error {
				all.Done()
				all.Wait()
				return nil
			})
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// TestLivenessAfterFreeze checks the liveness check after a freeze in which all connections died: no request fails, and only one ping
// is waited for.
func TestLivenessAfterFreeze(t *testing.T) {
	t.Parallel()
	for what, n := range map[string]int{"the only connection": 1, "four": 4} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := freeze(t, n, time.Hour)
			for i := range 3 {
				if err := query(t.Context(), f.db, `SELECT 'thawed'`); err != nil {
					t.Errorf("request %d after the gap: %v", i, err)
				}
			}
			if got := f.pings.Load(); got != 1 {
				t.Errorf("%d pings, want 1", got)
			}
			if open, made := f.db.Open(); open != 1 || made != int64(n+1) {
				t.Errorf("%d connections are open and %d were made, want 1 and %d", open, made, n+1)
			}
		})
	}

	t.Run("writes at once", func(t *testing.T) {
		t.Parallel()
		f := freeze(t, 4, time.Hour)
		use(t, f.db, 4)
		if got := f.pings.Load(); got > 4 {
			t.Errorf("%d pings, want at most one per connection", got)
		}
	})

	t.Run("connections that live", func(t *testing.T) {
		t.Parallel()
		e := testenv.New(t, "plugins", "miniredis")
		clock := wallClock{start: time.Now()}
		db := e.Open(t, func(c *app.Options) { c.Concurrency = 4 }).DB
		db.SetNow(clock.now)
		use(t, db, 4)
		clock.gap.Store(int64(time.Hour))
		use(t, db, 4)
		if _, made := db.Open(); made != 4 {
			t.Errorf("%d connections were made, want only the 4 from before the gap", made)
		}
	})
}

// TestConnectionDiesBetweenRequests checks a connection that dies between two requests. The request that uses it fails, because the outcome of
// its statement is unknown. It does not delay the next request, although the pool has only one connection.
func TestConnectionDiesBetweenRequests(t *testing.T) {
	t.Parallel()
	f := freeze(t, 1, 0, testenv.RealBudgets) // else the statement would wait 20 times as long
	err := f.db.Write(t.Context(), func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, `SELECT 1`)
		return err
	})
	if f.pings.Load() == 0 && !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("Write on the dead connection = %v, want ErrUnavailable", err)
	}
	if err := query(t.Context(), f.db, `SELECT 'next'`); err != nil {
		t.Errorf("the next request: %v", err)
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url  string
		o    postgres.Options
		want int
	}{
		{"postgres://h/d", postgres.Options{}, 16},
		{"postgres://h/d", postgres.Options{MaxConns: 1}, 1},
		{"postgres://h/d", postgres.Options{MaxConns: 10}, 10},
		{"postgres://h/d?pool_max_conns=3", postgres.Options{MaxConns: 1}, 3},
		{"postgres://h/d?pool_max_conns=3", postgres.Options{}, 3},
	} {
		db, err := postgres.Open(test.url, test.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := db.MaxConns(); got != test.want {
			t.Errorf("Open(%s, %+v) has at most %d connections, want %d", test.url, test.o, got, test.want)
		}
		db.Close()
	}
}
