package migrations_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// triggers returns the tables that have triggers of ours, one for each trigger.
func triggers(t *testing.T, d *testenv.Database) (list string) {
	t.Helper()
	if err := d.Owner.QueryRow(t.Context(), `SELECT coalesce(string_agg(c.relname, ' ' ORDER BY c.relname), '') FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid
		WHERE g.tgname LIKE 'database_service%'`).Scan(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAnotherUserTable checks that the table that was the user table before loses our triggers: a DELETE there would
// release characters of users that still exist.
func TestAnotherUserTable(t *testing.T) {
	t.Parallel()
	copied := `CREATE TABLE "Auth User" (LIKE "user" INCLUDING ALL); ALTER TABLE "Auth User" OWNER TO web_application`
	moved := migrations.Options{Names: migrations.Names{UserTable: "Auth User"}}
	t.Run("the triggers move", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		apply(t, d, utc)
		d.OwnerExec(t, copied)
		apply(t, d, moved)
		if got, want := triggers(t, d), "Auth User Auth User"; got != want {
			t.Errorf("tables with triggers: %q, want %q", got, want)
		}
		apply(t, d, migrations.Options{Names: migrations.Names{UserTable: "user"}, NoUserTrigger: true})
		if got := triggers(t, d); got != "" {
			t.Errorf("tables with triggers after -no-user-trigger: %q, want none", got)
		}
	})
	t.Run("by a role that may not drop them", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "plugins")
		conn := as(t, d, readmeRights)
		if _, err := migrations.Apply(t.Context(), conn, migrations.Options{}); err != nil {
			t.Fatal(err)
		}
		d.OwnerExec(t, copied+`; GRANT SELECT, TRIGGER ON "Auth User" TO migrator_`+d.Name)
		_, err := migrations.Apply(t.Context(), conn, moved)
		if want := `on "user", which only the owner of that table can drop`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Apply = %v, want an error with %q", err, want)
		}
	})
}
