package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestNamedSchema(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE SCHEMA other; CREATE TABLE other."user" (LIKE public."user"); CREATE TABLE other.session (LIKE public.session)`)
	apply(t, d, migrations.Options{AuthSchema: "public"})
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// TestTablesOfOneSchema follows the hint for tables "user" and "users" in one schema.
func TestTablesOfOneSchema(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE TABLE users (LIKE "user")`)
	if _, err := migrations.Apply(t.Context(), connect(t, d), utc); !errors.Is(err, migrations.ErrSchema) {
		t.Errorf("Apply = %v, want ErrSchema", err)
	}
	apply(t, d, migrations.Options{Names: migrations.Names{UserTable: "user"}})
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// TestColumnsOfOneField has two columns that could be the expiry, as in the middle of a rename by the web application. The
// service reads the one that -column names, and a later column changes nothing.
func TestColumnsOfOneField(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after string
		live          bool
		column        string
	}{
		"the old one":         {`ALTER TABLE session ADD COLUMN expires_at timestamptz DEFAULT now() - interval '1 day'`, "", true, "expiresAt"},
		"the new one":         {`ALTER TABLE session ADD COLUMN expires_at timestamptz DEFAULT now() - interval '1 day'`, "", false, "expires_at"},
		"added after the run": {"", `ALTER TABLE session ADD COLUMN expires_at timestamptz DEFAULT now() - interval '1 day'`, true, "expiresAt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, aUser+`; `+test.before)
			o := migrations.Options{Names: migrations.Names{Columns: map[string]string{"session.expiresAt": test.column}}}
			apply(t, d, o)
			d.OwnerExec(t, test.after)
			if done := apply(t, d, migrations.Options{}); len(done) != 0 {
				t.Errorf("a run that remembers the name did %v, want nothing", done)
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check = %v", err)
			}
			var live bool
			if err := d.Owner.QueryRow(t.Context(), `SELECT live FROM game.session_by_id('s1')`).Scan(&live); err != nil || live != test.live {
				t.Errorf("the session is live: %t, %v; want %t", live, err, test.live)
			}
		})
	}
	t.Run("a warning until the next run", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewDatabase(t, "plugins")
		d.OwnerExec(t, `ALTER TABLE session ADD COLUMN expires_at timestamptz`)
		s, err := migrations.Check(t.Context(), service(t, d))
		if err != nil || !strings.Contains(s.Warning, "-column session.expiresat=NAME") {
			t.Errorf("Check = %+v, %v; want a warning that names the flag", s, err)
		}
	})
}

// TestOddTableNames has names of tables and of their schema that need quotes, and contain some.
func TestOddTableNames(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE SCHEMA "My ""Auth"".x"; GRANT USAGE ON SCHEMA "My ""Auth"".x" TO web_application;
		ALTER TABLE "user" SET SCHEMA "My ""Auth"".x"; ALTER TABLE session SET SCHEMA "My ""Auth"".x";
		ALTER TABLE "My ""Auth"".x"."user" RENAME TO "us""er"; ALTER TABLE "My ""Auth"".x".session RENAME TO "Sess. ion's"`)
	apply(t, d, migrations.Options{Names: migrations.Names{UserTable: `us"er`, SessionTable: "Sess. ion's"}})
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
	if done := apply(t, d, migrations.Options{}); len(done) != 0 {
		t.Errorf("Apply again did %v, want nothing", done)
	}
}
