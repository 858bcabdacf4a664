package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

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

// TestStarvedWait checks that a process without CPU, which has read no answer, does not take the database for one that hangs.
func TestStarvedWait(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis", testenv.RealBudgets)
	db := e.Program.DB
	defer occupy(t, e, db, db.MaxConns()*3/4)()
	ctx := context.WithValue(t.Context(), request.Key{}, &request.Record{Principal: "a", Slot: starvedSlot{}})
	for range 2 { // at the first try an answer may still be recent
		if err := query(ctx, db, `SELECT 'x'`); !errors.Is(err, postgres.ErrOverloaded) {
			t.Errorf("a statement that waited in vain in a starved process = %v, want ErrOverloaded", err)
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
