package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// owners lists the owners of the view and of the SECURITY DEFINER functions.
func owners(t *testing.T, d *testenv.Database) (list string) {
	t.Helper()
	if err := d.Owner.QueryRow(t.Context(), `SELECT string_agg(DISTINCT pg_get_userbyid(o), ' ') FROM (
		SELECT proowner AS o FROM pg_proc WHERE pronamespace = 'game'::regnamespace AND prosecdef
		UNION ALL SELECT relowner FROM pg_class WHERE oid = 'game.users'::regclass) AS owners`).Scan(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// ask returns the answer to a question that is answered by a boolean.
func ask(t *testing.T, d *testenv.Database, sql string) (yes bool) {
	t.Helper()
	if err := d.Owner.QueryRow(t.Context(), sql).Scan(&yes); err != nil {
		t.Fatal(err)
	}
	return yes
}

// TestOwner checks that what runs with the rights of its owner belongs to a role that cannot log in and can do little else.
func TestOwner(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, variant)
			if got := owners(t, d); got != "database_service_owner" {
				t.Errorf("the view and the functions belong to %s, want database_service_owner", got)
			}
			if !ask(t, d, `SELECT bool_and('search_path=pg_catalog, pg_temp' = ANY (proconfig)) FROM pg_proc WHERE pronamespace = 'game'::regnamespace AND prosecdef`) {
				t.Error("a SECURITY DEFINER function has no fixed search_path")
			}
			for what, sql := range map[string]string{
				"log in":                   `SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = 'database_service_owner'`,
				"create in the schema":     `SELECT has_schema_privilege('database_service_owner', 'game', 'CREATE')`,
				"read passwords":           `SELECT coalesce(bool_or(has_any_column_privilege('database_service_owner', oid, 'SELECT')), false) FROM pg_class WHERE relname IN ('account', 'accounts')`,
				"write users":              d.Expand(`SELECT has_any_column_privilege('database_service_owner', '{user}', 'INSERT, UPDATE') OR has_table_privilege('database_service_owner', '{user}', 'DELETE, TRUNCATE, TRIGGER')`),
				"make sessions":            d.Expand(`SELECT has_any_column_privilege('database_service_owner', '{session}', 'INSERT') OR has_table_privilege('database_service_owner', '{session}', 'UPDATE, DELETE, TRUNCATE, TRIGGER')`),
				"give sessions to another": d.Expand(`SELECT has_column_privilege('database_service_owner', '{session}', '` + strings.Trim(d.Column("userId"), `"`) + `', 'UPDATE')`),
				"read the cache's secret":  `SELECT has_any_column_privilege('database_service_owner', 'game.cache_key', 'SELECT')`,
				"change money":             `SELECT has_column_privilege('database_service_owner', 'game.character', 'money', 'UPDATE')`,
			} {
				if ask(t, d, sql) {
					t.Errorf("the owner can %s", what)
				}
			}
		})
	}
}

// TestOwnerMadeByTheRun migrates by a role that is no superuser, but owns the tables and may create roles.
func TestOwnerMadeByTheRun(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, aUser)
	role := "Made by " + d.Name
	conn := as(t, d, ownTables+`ALTER ROLE ME CREATEROLE; `)
	t.Cleanup(func() { dropRoles(t, d, role) })
	for range 2 {
		done, err := migrations.Apply(t.Context(), conn, migrations.Options{Role: role})
		if err != nil || strings.Contains(strings.Join(done, "\n"), "note:") {
			t.Fatalf("Apply = %v, %v; want no note", done, err)
		}
		if got := owners(t, d); got != role+"_owner" {
			t.Errorf("the view and the functions belong to %s, want %s_owner", got, role)
		}
		d.OwnerExec(t, `DROP VIEW game.users`) // the second run creates the adapter again
	}
	if _, err := migrations.Apply(t.Context(), conn, migrations.Options{}); err != nil {
		t.Fatal(err)
	}
	if done, err := migrations.Apply(t.Context(), conn, migrations.Options{}); err != nil || len(done) != 0 {
		t.Errorf("Apply again = %v, %v; want nothing to do", done, err)
	}
	if !ask(t, d, `SELECT pg_has_role(current_user, '`+role+`_purge', 'MEMBER')`) || !ask(t, d, `SELECT has_function_privilege('`+role+`_purge', 'game.forget_characters()', 'EXECUTE')`) {
		t.Error("the purge's role is missing or lacks its right")
	}
	if !ask(t, d, `SELECT has_function_privilege('`+role+`_staff', 'game.sessions_of(text, int)', 'EXECUTE') AND has_column_privilege('`+role+`_staff', 'game.character', 'name', 'UPDATE')`) {
		t.Error("the role of StaffService lacks a right")
	}
}

const ownTables = `ALTER TABLE "user" OWNER TO ME; ALTER TABLE session OWNER TO ME; `

// dropRoles drops the roles of a run with Options.Role. Its database must be there.
func dropRoles(t *testing.T, d *testenv.Database, role string) {
	t.Helper()
	for _, suffix := range []string{"", "_owner", "_purge", "_staff"} {
		name := pgx.Identifier{role + suffix}.Sanitize()
		if _, err := d.Owner.Exec(context.Background(), fmt.Sprintf(`DO $$ BEGIN IF to_regrole('%[1]s') IS NOT NULL THEN DROP OWNED BY %[1]s CASCADE; DROP ROLE %[1]s; END IF; END $$`, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestOwnerNotUsable migrates by roles that cannot use the owner's role. The migration works as before, and a note says what to
// do. Once that is done, the next run uses the owner's role.
func TestOwnerNotUsable(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: roles")
	for name, test := range map[string]struct {
		rights string
		want   string // of the note
		mend   string // what the note says, or what helps
	}{
		"it may not create roles": {ownTables, "run this again after CREATE ROLE ROLE_owner NOLOGIN; GRANT ROLE_owner TO ME. " +
			"And no role may delete characters that are long gone: run this again after CREATE ROLE ROLE_purge NOLOGIN. " +
			"And no role may use StaffService: run this again after CREATE ROLE ROLE_staff NOLOGIN",
			`CREATE ROLE ROLE_owner; CREATE ROLE ROLE_purge; CREATE ROLE ROLE_staff; GRANT ROLE_owner TO ME`},
		"it is no member": {ownTables + `CREATE ROLE ROLE_owner; CREATE ROLE ROLE_purge; CREATE ROLE ROLE_staff; `, "run this again after GRANT ROLE_owner TO ME", `GRANT ROLE_owner TO ME`},
		"it does not own the tables": {readmeRights + `CREATE ROLE ROLE_owner; CREATE ROLE ROLE_purge; CREATE ROLE ROLE_staff; GRANT ROLE_owner TO ME; `,
			"run this again as the owner of better-auth's tables", ownTables},
		"row-level security": {ownTables + rowSecurity + `CREATE ROLE ROLE_owner; CREATE ROLE ROLE_purge; CREATE ROLE ROLE_staff; GRANT ROLE_owner TO ME; `,
			"ALTER ROLE ROLE_owner BYPASSRLS, because better-auth's tables have row-level security", `ALTER ROLE ROLE_owner BYPASSRLS`},
		"the owner can log in": {ownTables + `CREATE ROLE ROLE_owner LOGIN; CREATE ROLE ROLE_purge; CREATE ROLE ROLE_staff; GRANT ROLE_owner TO ME; `, "ALTER ROLE ROLE_owner NOLOGIN", `ALTER ROLE ROLE_owner NOLOGIN`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			role, me := "svc_"+d.Name, "migrator_"+d.Name
			fill := strings.NewReplacer("ROLE_", role+"_", "ME", me)
			d.OwnerExec(t, aUser)
			conn := as(t, d, fill.Replace(`CREATE ROLE `+role+`; `+test.rights))
			t.Cleanup(func() { dropRoles(t, d, role) })
			done, err := migrations.Apply(t.Context(), conn, migrations.Options{Role: role})
			said := strings.Join(done, "\n")
			sentences.Add(strings.Join(done[max(0, len(done)-1):], ""))
			if err != nil || !strings.Contains(said, fill.Replace(test.want)) {
				t.Fatalf("Apply = %q, %v; want a note with %q", said, err, fill.Replace(test.want))
			}
			if got := owners(t, d); got != me {
				t.Errorf("the view and the functions belong to %s, want %s", got, me)
			}
			d.OwnerExec(t, fill.Replace(test.mend))
			done, err = migrations.Apply(t.Context(), conn, migrations.Options{})
			if err != nil || strings.Contains(strings.Join(done, "\n"), "note:") {
				t.Errorf("Apply after %s = %v, %v; want no note", test.mend, done, err)
			}
			if got := owners(t, d); got != role+"_owner" {
				t.Errorf("the view and the functions belong to %s, want the owner's role", got)
			}
		})
	}
}

// TestOwnerOfAnotherRun migrates by a role that is no member of the owner's role, after a superuser.
func TestOwnerOfAnotherRun(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: the owner of an earlier run")
	d := testenv.NewDatabase(t, "plugins")
	conn := as(t, d, ownTables+`GRANT USAGE ON SCHEMA game TO ME; GRANT SELECT ON game.migration, game.adapter TO ME; `)
	d.OwnerExec(t, `UPDATE game.adapter SET sql_hash = ''`)
	_, err := migrations.Apply(t.Context(), conn, migrations.Options{})
	sentences.Add(fmt.Sprint(err))
	want := "the view and the functions of the schema game belong to the role database_service_owner: run this again after GRANT database_service_owner TO migrator_" + d.Name
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Apply = %v, want %q", err, want)
	}
}

// TestRightsOfEarlierVersions checks that a run takes away what earlier versions granted.
func TestRightsOfEarlierVersions(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	d.OwnerExec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON game.character TO database_service; UPDATE game.adapter SET version = 4, sql_hash = ''`)
	apply(t, d, migrations.Options{})
	if ask(t, d, `SELECT has_table_privilege('game_service', 'game.character', 'INSERT, UPDATE, DELETE')`) {
		t.Error("the service's login still has rights on the whole table")
	}
	if err := check(t, d); err != nil {
		t.Error(err)
	}
}

func TestRoleNameTooLong(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	_, err := migrations.Apply(t.Context(), connect(t, d), migrations.Options{Role: strings.Repeat("r", 58)})
	if want := "a name has at most 57 bytes, because _purge, _staff and _owner are added to it"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Apply = %v, want %q", err, want)
	}
}

// TestColumnMadeAgain drops a column of better-auth's and adds it again. Then calls work as before, without a run.
func TestColumnMadeAgain(t *testing.T) {
	t.Parallel()
	for _, change := range []string{
		`ALTER TABLE session DROP COLUMN "userAgent"; ALTER TABLE session ADD COLUMN "userAgent" text`,
		`ALTER TABLE session DROP COLUMN "createdAt"; ALTER TABLE session ADD COLUMN "createdAt" timestamptz NOT NULL DEFAULT now()`,
	} {
		d := testenv.NewDatabase(t, "plugins")
		d.OwnerExec(t, aUser)
		d.OwnerExec(t, change)
		if err := check(t, d); err != nil || !found(t, d) {
			t.Errorf("after %s: Check = %v; or the service does not find the session", change, err)
		}
	}
}

// TestRoleMadeBefore runs the migration by a role that cannot create roles, after another role has created the group
// role.
func TestRoleMadeBefore(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	// The owner of better-auth's tables is an ordinary role.
	d.OwnerExec(t, `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO web_application', current_database()); END $$`)
	conn, err := d.Web.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := migrations.Apply(t.Context(), conn.Conn(), utc); err != nil {
		t.Fatalf("Apply as the owner of the tables: %v", err)
	}
	if err := check(t, d); err != nil {
		t.Error(err)
	}
}
