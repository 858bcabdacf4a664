package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestFunctionsAreNotPublic checks that only the service's role can execute the functions that run with their owner's
// rights, even if other roles have the right to use the schema.
func TestFunctionsAreNotPublic(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	apply(t, d, migrations.Options{})
	rows, err := d.Owner.Query(t.Context(), `
SELECT p.oid::regprocedure::text
  FROM pg_proc AS p
 WHERE p.pronamespace = 'game'::regnamespace
   AND p.prosecdef
   AND has_function_privilege('public', p.oid, 'execute')`)
	if err != nil {
		t.Fatal(err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(open) > 0 {
		t.Errorf("every role may execute %v (%v), want none", open, err)
	}
}
