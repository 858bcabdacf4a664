package users_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestChangesOfUsersAreLogged checks that every change of a user by the web application is in the change log, in every
// schema.
func TestChangesOfUsersAreLogged(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, variant)
			id := d.AddUser(t, "Alice")
			for what, sql := range map[string]string{
				"a change":  `UPDATE {user} SET [name] = 'x' WHERE id::text = $1`,
				"a removal": `DELETE FROM {user} WHERE id::text = $1`,
			} {
				if got := logged(t, d, d.Expand(sql), id); !slices.Equal(got, []string{"user:" + id}) {
					t.Errorf("%s logged %v, want user:%s", what, got, id)
				}
			}
			if got := logged(t, d, d.Expand(`TRUNCATE {user} CASCADE`)); !slices.Contains(got, "*") {
				t.Errorf("a truncation logged %v, want *", got)
			}
		})
	}
}

// logged runs a statement as the web application, returns the keys that it logged, and rolls it back.
func logged(t *testing.T, d *testenv.Database, sql string, args ...any) []string {
	t.Helper()
	tx, err := d.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(t.Context(), `SELECT key FROM game.cache_change WHERE xid = pg_current_xact_id()`)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
