package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/testenv"
)

// starvedSlot is the slot of a request in a process that gets too little CPU.
type starvedSlot struct{}

func (starvedSlot) Queue() bool   { return false }
func (starvedSlot) Starved() bool { return true }
func (starvedSlot) Pause()        {}
func (starvedSlot) Resume(bool)   {}

// starved returns the context of a request in such a process.
func starved(ctx context.Context) context.Context {
	return context.WithValue(ctx, request.Key{}, &request.Record{Principal: "a", Slot: starvedSlot{}})
}

// soon is a context that is always about to end.
type soon struct{ context.Context }

func (soon) Deadline() (time.Time, bool) { return time.Now().Add(50 * time.Millisecond), true }

// TestStarvedWait checks that a process without CPU, which has read no answer, does not take the database for one that hangs.
func TestStarvedWait(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	defer occupy(t, e, db, db.MaxConns()*3/4)()
	for range 2 { // at the first try an answer may still be recent
		if err := query(starved(t.Context()), db, `SELECT 'x'`); !errors.Is(err, postgres.ErrOverloaded) {
			t.Errorf("a statement that waited in vain in a starved process = %v, want ErrOverloaded", err)
		}
	}
}

// TestStarvedStart checks that a statement that could not be started is the fault of a process without CPU, and of no other.
func TestStarvedStart(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	db := e.Open(t, func(c *app.Options) { c.Budgets.Database.Acquire = 10 * time.Millisecond }).DB
	e.PGProxy.Hold()
	defer e.PGProxy.Release()
	for what, ctx := range map[string]context.Context{"no connection": t.Context(), "little time": soon{t.Context()}} {
		if err := query(starved(ctx), db, `SELECT 'x'`); !errors.Is(err, postgres.ErrOverloaded) {
			t.Errorf("%s in a starved process = %v, want ErrOverloaded", what, err)
		}
		if err := query(ctx, db, `SELECT 'x'`); err == nil || errors.Is(err, postgres.ErrOverloaded) {
			t.Errorf("%s = %v, want another error than ErrOverloaded", what, err)
		}
	}
}

// TestLateStatement checks that a statement whose time was over when its wait ended gets some more, if its request has as much.
func TestLateStatement(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	db.Answer()
	if err := db.RunLate(t.Context(), 50*time.Millisecond); !errors.Is(err, postgres.ErrOverloaded) {
		t.Errorf("a statement that was too late to start = %v, want ErrOverloaded", err)
	}
	if n := db.Stats().InUse; n != 0 {
		t.Errorf("%d connections are in use", n)
	}
	var err error
	for range 100 { // the server may be slow, too
		if err = db.RunLate(t.Context(), testenv.Patience); err == nil {
			return
		}
	}
	t.Errorf("no late statement got time: %v", err)
}
