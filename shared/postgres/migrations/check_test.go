package migrations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestCheckNamesRights takes rights away. The error names the right, the object and what to run; the migration grants
// what its role lacks.
func TestCheckNamesRights(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: a right that the service lacks")
	for _, test := range []struct {
		name, take, want string
		migrate          bool // a run of the migration gives it back
	}{
		{"EXECUTE on a function", `REVOKE EXECUTE ON FUNCTION game.session_by_token_as(text,boolean) FROM database_service`,
			"the role database_service lacks rights: GRANT EXECUTE ON FUNCTION game.session_by_token_as(text,boolean) TO database_service", true},
		{"EXECUTE on an inlined function", `REVOKE EXECUTE ON FUNCTION game.user_id(text) FROM database_service, PUBLIC`,
			"GRANT EXECUTE ON FUNCTION game.user_id(text) TO database_service", true},
		{"USAGE on the schema", `REVOKE USAGE ON SCHEMA game FROM database_service`, "GRANT USAGE ON SCHEMA game TO database_service", true},
		{"SELECT on the view", `REVOKE SELECT ON game.users FROM database_service`, "GRANT SELECT ON game.users TO database_service", true},
		{"SELECT on the cache's secret", `REVOKE SELECT ON game.cache_key FROM database_service`, "GRANT SELECT ON game.cache_key TO database_service", true},
		{"SELECT on the change log", `REVOKE SELECT ON game.cache_change FROM database_service`, "GRANT SELECT ON game.cache_change TO database_service", true},
		{"UPDATE on characters", `REVOKE UPDATE ON game.character FROM database_service`, "GRANT UPDATE (version, level, job, money,", true},
		{"INSERT of a column", `REVOKE INSERT (name) ON game.character FROM database_service`, "GRANT INSERT (name) ON game.character TO database_service; or run", true},
		{"all rights", `REVOKE ALL ON ALL TABLES IN SCHEMA game FROM database_service`, "more; or run database-service migrate", true},
		{"the cluster's identity", `REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`,
			"GRANT EXECUTE ON FUNCTION pg_control_system() TO database_service", false},
		{"the rows of users", `ALTER TABLE "user" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; ALTER VIEW game.users OWNER TO web_application`,
			`row-level security hides rows of "public"."user" from the role "web_application"`, true},
		{"the owner's SELECT on the session table", `ALTER FUNCTION game.session_by_token_as(text,boolean) OWNER TO game_service`,
			"the function game.session_by_token_as fails: permission denied for table session: run database-service migrate", true},
		{"the owner's SELECT on sessions", `REVOKE SELECT ON session FROM database_service_owner`,
			"the function game.session_by_token_as fails: permission denied for table session: run database-service migrate", true},
		{"the owner's SELECT on users", `REVOKE SELECT ON "user" FROM database_service_owner`,
			"the view game.users fails: permission denied for table user: run database-service migrate", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, "plugins")
			d.OwnerExec(t, test.take)
			err := check(t, d)
			sentences.Add(fmt.Sprint(err))
			if !errors.Is(err, migrations.ErrRights) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check = %v, want ErrRights with %q", err, test.want)
			}
			if !test.migrate {
				if done, err := migrations.Apply(t.Context(), connect(t, d), utc); len(done) > 0 {
					t.Errorf("Apply did %v, %v; but it cannot give the right back", done, err)
				}
				return
			}
			if apply(t, d, utc); check(t, d) != nil {
				t.Errorf("Check after the migration = %v, want the right again", check(t, d))
			}
		})
	}
}

// TestCheckNamesTheGrant checks a login that is not a member of the service's role, whatever that role's name is.
func TestCheckNamesTheGrant(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: a login without the service's role")
	for name, test := range map[string]struct{ role, make, want string }{
		"not a member": {"", `CREATE ROLE %s LOGIN`,
			"the service's login is not a member of the role database_service, which has the service's rights: GRANT database_service TO the service's login"},
		"of another role": {"Game Service", `CREATE ROLE %s LOGIN`, `GRANT "Game Service" TO the service's login`},
		"does not inherit": {"", `CREATE ROLE %s LOGIN NOINHERIT; GRANT database_service TO %[1]s`,
			"does not inherit the rights of the role database_service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			apply(t, d, migrations.Options{Role: test.role})
			login := "login_" + d.Name
			d.OwnerExec(t, strings.NewReplacer("%s", login, "%[1]s", login).Replace(test.make))
			conn, err := pgx.Connect(t.Context(), testenv.Postgres(t).UserURL(login, "", d.Name))
			if err != nil {
				t.Fatal(err)
			}
			_, err = migrations.Check(t.Context(), conn)
			sentences.Add(fmt.Sprint(err))
			if !errors.Is(err, migrations.ErrRights) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check = %v, want %q", err, test.want)
			}
			_ = conn.Close(t.Context())
			d.OwnerExec(t, `DROP ROLE `+login)
			if test.role != "" {
				role := pgx.Identifier{test.role}.Sanitize()
				d.OwnerExec(t, `DROP OWNED BY `+role+`; DROP ROLE `+role)
			}
		})
	}
}

// TestCheckWarns changes better-auth's tables so that calls still work.
func TestCheckWarns(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: warnings")
	for name, change := range map[string]string{
		"a plugin was installed":             `ALTER TABLE "user" ADD COLUMN username text UNIQUE, ADD COLUMN role text, ADD COLUMN banned boolean, ADD COLUMN "banReason" text, ADD COLUMN "banExpires" timestamptz; ALTER TABLE session ADD COLUMN "impersonatedBy" text`,
		"a column of the view was renamed":   `ALTER TABLE "user" RENAME COLUMN "emailVerified" TO email_verified`,
		"a core column was renamed":          `ALTER TABLE "user" RENAME COLUMN image TO picture`,
		"a second user table in that schema": `CREATE TABLE users (LIKE "user")`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "core")
			d.OwnerExec(t, `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', true)`)
			apply(t, d, utc)
			d.OwnerExec(t, change)
			s, err := migrations.Check(t.Context(), service(t, d))
			sentences.Add(s.Warning)
			if err != nil || !strings.Contains(s.Warning, "calls still work") {
				t.Errorf("Check = %+v, %v; want a warning", s, err)
			}
		})
	}
	t.Run("a lock", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewDatabase(t, "plugins")
		tx, err := d.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `LOCK TABLE session IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		conn := service(t, d)
		if _, err := conn.Exec(t.Context(), `SET lock_timeout = '1ms'`); err != nil {
			t.Fatal(err)
		}
		s, err := migrations.Check(t.Context(), conn)
		sentences.Add(s.Warning)
		if err != nil || !strings.Contains(s.Warning, "lock") {
			t.Errorf("Check = %+v, %v; want a warning", s, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestCheckNamesTheColumn changes better-auth's tables so that calls fail.
func TestCheckNamesTheColumn(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: changed tables that fail")
	for name, test := range map[string]struct{ change, want string }{
		"dropped":                 {`ALTER TABLE session DROP COLUMN "userAgent"`, "column s.userAgent does not exist"},
		"renamed":                 {`ALTER TABLE session RENAME COLUMN "expiresAt" TO expires_at`, "column s.expiresAt does not exist"},
		"another type, compared":  {`ALTER TABLE session ALTER COLUMN token TYPE bytea USING token::bytea`, `column "token" of the session table`},
		"another type, returned":  {`ALTER TABLE session ALTER COLUMN "ipAddress" TYPE inet USING NULL`, `column "public"."session"."ipAddress"`},
		"another type of a time":  {`ALTER TABLE session ALTER COLUMN "expiresAt" TYPE timestamp`, `column "public"."session"."expiresAt"`},
		"a dropped view":          {`DROP VIEW game.users`, "the view game.users is missing"},
		"a dropped function":      {`DROP FUNCTION game.session_by_id(text)`, "the function game.session_by_id fails"},
		"a renamed session table": {`ALTER TABLE session RENAME TO auth_session`, `pass -session-table auth_session`},
		"a dropped schema":        {`DROP SCHEMA game CASCADE`, "schema game is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, "plugins")
			d.OwnerExec(t, test.change)
			err := check(t, d)
			sentences.Add(fmt.Sprint(err))
			if !errors.Is(err, migrations.ErrSchema) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "run database-service migrate") {
				t.Errorf("Check = %v, want %q and what to run", err, test.want)
			}
		})
	}
}
