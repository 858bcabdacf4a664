package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// occupy holds n connections of db, each waiting for a lock, until the function returned is called.
func occupy(t *testing.T, e *testenv.Env, db *postgres.DB, n int) (release func()) {
	t.Helper()
	var inside, done sync.WaitGroup
	free := make(chan struct{})
	inside.Add(n)
	for range n {
		done.Go(func() {
			hold := func(context.Context, postgres.Querier) error {
				inside.Done()
				<-free
				return nil
			}
			for db.Read(context.Background(), hold) != nil {
				continue // a busy machine takes long to make a connection
			}
		})
	}
	inside.Wait()
	return func() { close(free); done.Wait() }
}

// A quarter of the connections is for urgent statements; what waits in vain is refused, and said to be for overload only
// where the database answers others.
func TestReservedShare(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	release := occupy(t, e, db, db.MaxConns()*3/4)
	defer release()

	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range db.MaxConns() / 4 { // urgent statements go on being answered
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := query(context.Background(), db.Urgent(), `SELECT 'x'`); errors.Is(err, postgres.ErrOverloaded) {
						t.Errorf("an urgent statement while others wait: %v", err)
					}
				}
			}
		})
	}
	for {
		err := query(t.Context(), db, `SELECT 'x'`)
		if err == nil {
			t.Error("an ordinary statement got one of the reserved connections")
		}
		if errors.Is(err, postgres.ErrOverloaded) || err == nil {
			break // ErrUnavailable: the machine was too busy to answer the urgent ones within the queue's time
		}
	}
	close(stop)
	asking.Wait()
	for range 2 { // the first one's answers may still be fresh
		if err := query(t.Context(), db, `SELECT 'x'`); errors.Is(err, postgres.ErrUnavailable) {
			return
		}
	}
	t.Error("with nobody answered, a statement that waited in vain is not ErrUnavailable")
}

func TestConnectionsComeBack(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	for range 3 {
		release := occupy(t, e, db, db.MaxConns()*3/4)
		urgent := occupy(t, e, db.Urgent(), db.MaxConns()/4)
		if err := query(t.Context(), db.Urgent(), `SELECT 'x'`); err == nil {
			t.Error("there were more statements than connections")
		}
		urgent()
		release()
	}
}

// A database whose connections break gets few second tries.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	var tries atomic.Int64
	e.PGProxy.OnSend(func(b []byte) {
		if bytes.Contains(b, []byte("pg_sleep")) {
			tries.Add(1)
			e.PGProxy.Reset()
		}
	})
	const calls = 100
	for range calls {
		if err := query(t.Context(), e.Program.DB, `SELECT pg_sleep(0)::text`); err == nil {
			t.Fatal("a statement succeeded on a connection that breaks")
		}
	}
	again := tries.Load() - calls
	if again < 32 || again > 32+calls/10+1 {
		t.Errorf("%d of %d calls were tried again, want the burst of 32 and one in ten", again, calls)
	}
}
