package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// occupy keeps n connections of db in use until release is called. Each of them waits for a lock.
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
				continue // on a busy machine connecting may time out
			}
		})
	}
	inside.Wait()
	return func() { close(free); done.Wait() }
}

// TestReservedShare checks that a quarter of the connections is reserved for urgent statements. A statement that waits
// in vain gets ErrOverloaded if the database answers others, and ErrUnavailable if it answers none.
func TestReservedShare(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	release := occupy(t, e, db, db.MaxConns()*3/4)
	defer release()

	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range db.MaxConns() / 4 { // urgent statements are answered all the time
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
			break // ErrUnavailable: the machine was too busy to answer the urgent ones within Budgets.Queue
		}
	}
	close(stop)
	asking.Wait()
	for range 2 { // at the first try an answer may still be recent
		if err := query(t.Context(), db, `SELECT 'x'`); errors.Is(err, postgres.ErrUnavailable) {
			return
		}
	}
	t.Error("a statement that waited while the database answered none is not ErrUnavailable")
}

// TestLongWait checks that a statement that waits longer than others, or until too little of its request's time is left, gets
// ErrOverloaded if the database answers another one meanwhile, however long before the end of the wait.
func TestLongWait(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	defer occupy(t, e, db, db.MaxConns()*3/4)()
	defer occupy(t, e, db.Urgent(), db.MaxConns()/4)()
	const little = 300 * time.Millisecond // less than an urgent statement may wait
	for _, left := range []time.Duration{rpcserver.Budget, little} {
		waited, err := false, error(nil)
		for !waited { // on a busy machine the time may end before the statement waits
			waited, err = waitAndAnswer(t, db.Urgent(), left)
		}
		if !errors.Is(err, postgres.ErrOverloaded) {
			t.Errorf("a statement of a request with %v left = %v, want ErrOverloaded", left, err)
		}
	}
}

// waitAndAnswer runs a statement, and records an answer of the database while it waits. waited is false if it did not wait.
func waitAndAnswer(t *testing.T, db *postgres.DB, left time.Duration) (waited bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), left)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- query(ctx, db, `SELECT 'x'`) }()
	for !waited && ctx.Err() == nil {
		waited = db.Stats().Waiting > 0
		runtime.Gosched()
	}
	db.Answer()
	return waited, <-result
}

func TestConnectionsAreFreed(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	for range 3 {
		release := occupy(t, e, db, db.MaxConns()*3/4)
		urgent := occupy(t, e, db.Urgent(), db.MaxConns()/4)
		if err := query(t.Context(), db.Urgent(), `SELECT 'x'`); err == nil {
			t.Error("a statement got ErrOverloaded, want free connections again")
		}
		urgent()
		release()
	}
}

// TestRetryBudget checks that a database whose connections break gets few retries.
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
		t.Errorf("%d of %d calls were retried, want the burst of 32 and one in ten", again, calls)
	}
}

// heavySlot is the slot of a heavy request. Resume waits until free is closed, as if other heavy work ran.
type heavySlot struct{ resuming, free chan struct{} }

func (heavySlot) Queue() bool   { return true }
func (heavySlot) Starved() bool { return false }
func (heavySlot) Pause()        {}
func (s heavySlot) Resume(bool) {
	s.resuming <- struct{}{}
	<-s.free
}

// TestHeavyStatements checks that heavy requests get an eighth of the connections. One whose result waits in memory keeps its share,
// but no connection.
func TestHeavyStatements(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	s := heavySlot{make(chan struct{}, 100), make(chan struct{})}
	heavy := func() error {
		return query(context.WithValue(context.Background(), request.Key{}, &request.Record{Principal: "a", Slot: s}), db, `SELECT 'x'`)
	}
	var all sync.WaitGroup
	for range db.MaxConns() / 8 {
		all.Go(func() { _ = heavy() }) // on a busy machine connecting may time out
		<-s.resuming
	}
	all.Go(func() {
		if err := heavy(); !errors.Is(err, postgres.ErrOverloaded) && !errors.Is(err, postgres.ErrUnavailable) {
			t.Errorf("one heavy statement more = %v, want that it waits in vain", err)
		}
	})
	<-s.resuming // it gave up
	if n := db.Stats().InUse; n != 0 {
		t.Errorf("%d connections are in use by results that wait in memory", n)
	}
	occupy(t, e, db, db.MaxConns()*3/4)()
	close(s.free)
	all.Wait()
	if n := db.Heavy(); n != 0 {
		t.Errorf("%d heavy statements have a place at the end", n)
	}
}
