package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// ofPgx counts the goroutines that run code of pgx.
func ofPgx(t *testing.T) int {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
		t.Fatal(err)
	}
	n := 0
	for stack := range bytes.SplitSeq(b.Bytes(), []byte("\n\n")) {
		if bytes.Contains(stack, []byte("pgconn")) {
			n++
		}
	}
	return n
}

// TestHungServer checks that statements on a hung server leave no goroutines behind, even while the server hangs. It is
// not parallel because it counts goroutines. It takes about 1 s; its limit is well below pgx's own 15 s.
func TestHungServer(t *testing.T) { //nolint:paralleltest // other tests would hold the server's connections
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() { _ = query(context.Background(), db, `SELECT pg_sleep(0.05)::text`) }) // opens connections
	}
	all.Wait()
	base := ofPgx(t)
	e.PGProxy.Hold()
	for range 3 {
		for range 12 {
			all.Go(func() {
				if err := query(context.Background(), db, `SELECT 'x'`); !errors.Is(err, postgres.ErrUnavailable) {
					t.Errorf("a read of a hung server = %v, want ErrUnavailable", err)
				}
			})
		}
		all.Wait()
	}
	late := time.After(testenv.Patience)
	for ofPgx(t) > base {
		select {
		case <-late:
			t.Fatalf("%d goroutines more than before", ofPgx(t)-base)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
