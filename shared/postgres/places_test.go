package postgres_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestStatementFreesItsConnection checks that a statement frees its place in the limiter when it ends, also if it
// failed.
func TestStatementFreesItsConnection(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	db := e.Program.DB
	for i := range 3 * db.MaxConns() {
		if err := query(t.Context(), db, `SELECT 'x'`); err != nil {
			t.Fatalf("statement %d, with no other one running: %v", i+1, err)
		}
		if err := query(t.Context(), db.Urgent(), `SELECT 1 / 0`); err == nil {
			t.Fatal("a division by zero succeeded")
		}
	}
}
