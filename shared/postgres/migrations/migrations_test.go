package migrations_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var utc = migrations.Options{AuthTimezone: "UTC"}

func connect(t testing.TB, d *testenv.Database) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), d.Owner.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func apply(t testing.TB, d *testenv.Database, o migrations.Options) []string {
	t.Helper()
	done, err := migrations.Apply(t.Context(), connect(t, d), o)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return done
}

// check is Check by the service's login.
func check(t testing.TB, d *testenv.Database) error {
	t.Helper()
	_, err := migrations.Check(t.Context(), service(t, d))
	return err
}

func service(t testing.TB, d *testenv.Database) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testenv.Postgres(t).UserURL("game_service", "", d.Name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestApply(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, variant)
			if err := check(t, d); !errors.Is(err, migrations.ErrSchema) {
				t.Errorf("Check before = %v, want ErrSchema", err)
			}
			if done := apply(t, d, utc); len(done) == 0 {
				t.Error("Apply did nothing")
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check after = %v", err)
			}
			if done := apply(t, d, utc); len(done) != 0 {
				t.Errorf("Apply again did %v, want nothing", done)
			}
		})
	}
}

func TestConcurrentApply(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	const runs = 8
	results := make(chan error, runs)
	start := make(chan struct{})
	for range runs {
		conn := connect(t, d)
		go func() {
			<-start
			_, err := migrations.Apply(context.Background(), conn, utc)
			results <- err
		}()
	}
	close(start)
	for range runs {
		if err := <-results; err != nil {
			t.Errorf("concurrent runs (%d): %v", runs, err)
		}
	}
	if err := check(t, d); err != nil {
		t.Error(err)
	}
}

// TestSQL checks that the printed text alone migrates the database.
func TestSQL(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, variant)
			sql, err := migrations.SQL(t.Context(), connect(t, d), utc)
			if err != nil {
				t.Fatal(err)
			}
			if err := check(t, d); !errors.Is(err, migrations.ErrSchema) {
				t.Errorf("printing changed the database: Check = %v", err)
			}
			d.OwnerExec(t, sql)
			if err := check(t, d); err != nil {
				t.Errorf("Check after the printed SQL: %v", err)
			}
			if again, err := migrations.SQL(t.Context(), connect(t, d), utc); err != nil || again != "" {
				t.Errorf("SQL again = %q, %v; want nothing", again, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: better-auth's tables")
	for _, test := range []struct {
		name, schema, before string
		options              migrations.Options
		want                 string
	}{
		{"no tables at all", "", "", utc, "user table is missing"},
		{"sessions in a secondary storage only", "plugins", `DROP TABLE session`, utc, "storeSessionInDatabase"},
		{"a session table of somebody else", "plugins", `ALTER TABLE session DROP COLUMN token`, utc, `"public"."session" has no column token of better-auth's session table; if it has another name, pass -column session.token=NAME`},
		{"the session table of another library", "plugins", `DROP TABLE session; CREATE TABLE session (sid text PRIMARY KEY, sess json, expire timestamptz)`, utc, "storeSessionInDatabase"},
		{"a renamed session table", "plugins", `ALTER TABLE session RENAME TO auth_session`, utc, `"public"."auth_session" has the columns of better-auth's session table; if that is it, pass -session-table auth_session`},
		{"a renamed user table", "plugins", `ALTER TABLE "user" RENAME TO auth_user`, utc, `pass -user-table auth_user`},
		{"a renamed column", "plugins", `ALTER TABLE "user" RENAME name TO full_name`, utc, `-column user.name=NAME`},
		{"a named table that does not exist", "plugins", "", migrations.Options{Names: migrations.Names{UserTable: "auth_user"}}, `no table or view "auth_user"`},
		{"a named column that does not exist", "plugins", "", migrations.Options{Names: migrations.Names{Columns: map[string]string{"user.name": "full_name"}}}, `has no column "full_name"`},
		{"a field that does not exist", "plugins", "", migrations.Options{Names: migrations.Names{Columns: map[string]string{"user.nickname": "name"}}}, `-column user.nickname: no such field`},
		{"times without zone", "timestamp", "", migrations.Options{}, "AUTH_TIMEZONE"},
		{"a time zone with a typing error", "timestamp", "", migrations.Options{AuthTimezone: "Europe/Berln"}, `AUTH_TIMEZONE: PostgreSQL knows no time zone "Europe/Berln"`},
		{"a time zone that means its opposite", "timestamp", "", migrations.Options{AuthTimezone: "UTC+2"}, `AUTH_TIMEZONE: PostgreSQL knows no time zone "UTC+2"`},
		{"a time zone that no column needs", "plugins", "", migrations.Options{AuthTimezone: "Europe/Berln"}, "AUTH_TIMEZONE"},
		{"two user tables in one schema", "plugins", `CREATE TABLE users (LIKE "user")`, utc,
			`"public"."user" and "public"."users"; only one is better-auth's, and modelName in its configuration says which: pass -user-table NAME`},
		{"two session tables in one schema", "plugins", `CREATE TABLE sessions (LIKE session)`, utc,
			`"public"."session" and "public"."sessions"; only one is better-auth's`},
		{"two columns of one field", "plugins", `ALTER TABLE session ADD COLUMN expires_at timestamptz`, utc,
			`"public"."session" has several columns that could be better-auth's expiresat: "expiresAt" and "expires_at"; pass -column session.expiresat=NAME`},
		{"two candidates", "plugins", `CREATE SCHEMA other; CREATE TABLE other."user" (LIKE public."user"); CREATE TABLE other.session (LIKE public.session)`, utc, "-auth-schema (other or public)"},
		{"ids of an unknown type", "plugins", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey"; ALTER TABLE account DROP CONSTRAINT "account_userId_fkey"; ALTER TABLE "user" ALTER id TYPE numeric USING 1`, utc, "numeric"},
		{"ids of a collation without case", "core", `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
			ALTER TABLE session DROP CONSTRAINT "session_userId_fkey"; ALTER TABLE account DROP CONSTRAINT "account_userId_fkey"; ALTER TABLE "user" ALTER id TYPE text COLLATE ci`, utc,
			`"public"."user"."id" has the collation public.ci, in which different ids are equal`},
		{"a name with dollar signs", "plugins", `ALTER TABLE session RENAME "userAgent" TO "user$$agent"`, migrations.Options{Names: migrations.Names{Columns: map[string]string{"session.userAgent": "user$$agent"}}},
			`the name "user$$agent" has two dollar signs`},
		{"userId is JSON", "plugins", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey", ALTER "userId" TYPE jsonb USING '1'`, utc, `"public"."session"."userId" is of type jsonb; text,`},
		{"a foreign table", "core", `CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; DROP TABLE "user" CASCADE; CREATE FOREIGN TABLE "user" (id text, name text, email text, "emailVerified" boolean,
			image text, "createdAt" timestamptz, "updatedAt" timestamptz) SERVER f OPTIONS (filename '/dev/null')`, utc, `"public"."user" is a foreign table`},
		{"a materialized view", "core", `ALTER TABLE "user" RENAME TO people; CREATE MATERIALIZED VIEW "user" AS SELECT * FROM people`, utc, `"public"."user" is a materialized view`},
		{"a table that inherits", "core", `CREATE TABLE member (club text) INHERITS ("user")`, utc, `public.member inherits from "public"."user"`},
		{"emailVerified is text", "plugins", `ALTER TABLE "user" ALTER "emailVerified" TYPE text`, utc, `"public"."user"."emailVerified" is of type text; boolean,`},
		{"times are numbers", "plugins", `ALTER TABLE session ALTER "expiresAt" TYPE bigint USING 0`, utc, `"public"."session"."expiresAt" is of type bigint; timestamptz`},
		{"a token that is no text", "plugins", `ALTER TABLE session ALTER token TYPE bytea USING token::bytea`, utc, `"public"."session"."token" is of type bytea; text,`},
		{"e-mails are JSON", "plugins", `ALTER TABLE "user" ALTER email TYPE jsonb USING '"a"'`, utc, `"public"."user"."email" is of type jsonb; text,`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, test.schema)
			d.OwnerExec(t, test.before)
			_, err := migrations.Apply(t.Context(), connect(t, d), test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply = %v, want an error with %q", err, test.want)
			}
			if err != nil {
				sentences.Add(err.Error())
			}
			var there bool
			if err := d.Owner.QueryRow(t.Context(), `SELECT to_regnamespace('game') IS NOT NULL`).Scan(&there); err != nil || there {
				t.Errorf("the refused run left the schema game behind (%v)", err)
			}
		})
	}
}

func TestTimezone(t *testing.T) {
	t.Parallel()
	apply(t, testenv.NewEmptyDatabase(t, "timestamp"), migrations.Options{AuthTimezone: "Europe/Berlin"})
}

// TestCheckNoticesChanges changes better-auth's tables after the migration, as the web application may.
func TestCheckNoticesChanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, change string }{
		{"a type was changed", `ALTER TABLE session ALTER COLUMN "expiresAt" TYPE timestamp`},
		{"the user table was made again", `DROP TABLE session, account; ALTER TABLE "user" RENAME TO old; CREATE TABLE "user" (LIKE old); DROP TABLE old CASCADE;
			CREATE TABLE session (id text, token text, "userId" text, "expiresAt" timestamptz, "createdAt" timestamptz, "updatedAt" timestamptz, "ipAddress" text, "userAgent" text)`},
		{"the trigger was dropped", `DROP TRIGGER database_service_log_change ON "user"`},
		{"the trigger was disabled", `ALTER TABLE "user" DISABLE TRIGGER database_service_log_change`},
		{"the view was dropped", `DROP VIEW game.users`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "core")
			apply(t, d, utc)
			d.OwnerExec(t, test.change)
			if err := check(t, d); !errors.Is(err, migrations.ErrSchema) {
				t.Errorf("Check = %v, want ErrSchema", err)
			}
			if done := apply(t, d, utc); len(done) == 0 {
				t.Error("Apply found nothing to do")
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check after Apply = %v", err)
			}
		})
	}
	t.Run("a column that is not ours", func(t *testing.T) {
		t.Parallel()
		d := testenv.NewEmptyDatabase(t, "core")
		apply(t, d, utc)
		d.OwnerExec(t, `ALTER TABLE "user" ADD COLUMN favourite text`)
		if err := check(t, d); err != nil {
			t.Errorf("Check = %v, want nil", err)
		}
	})
}

func TestWithoutUserTrigger(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	apply(t, d, migrations.Options{NoUserTrigger: true})
	s, err := migrations.Check(t.Context(), connect(t, d))
	if err != nil || s.UserTrigger {
		t.Errorf("Check = %+v, %v; want no trigger", s, err)
	}
	var n int
	if err := d.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_trigger WHERE tgrelid = '"user"'::regclass AND NOT tgisinternal`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d triggers on the user table (%v), want none", n, err)
	}
}

// TestRole checks that a role keeps its rights if a later run has no Role, and that another Role gets all of the
// rights.
func TestRole(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	can := func(role string) (yes bool) {
		t.Helper()
		if err := d.Owner.QueryRow(t.Context(), `SELECT has_schema_privilege($1, 'game', 'usage') AND has_table_privilege($1, 'game.users', 'select')
			AND has_column_privilege($1, 'game.character', 'money', 'update') AND NOT has_table_privilege($1, 'game.character', 'update') AND has_function_privilege($1, 'game.session_by_token(text)', 'execute')
			AND NOT has_function_privilege($1, 'game.log_truncate()', 'execute') AND NOT has_function_privilege($1, 'game.log_user_change()', 'execute')`,
			role).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	apply(t, d, migrations.Options{Role: "first role"})
	if done := apply(t, d, migrations.Options{}); len(done) != 0 {
		t.Errorf("a run without a role did %v, want nothing", done)
	}
	apply(t, d, migrations.Options{Role: "second_role"})
	if !can("second_role") {
		t.Error("the second role lacks rights, or can execute trigger functions")
	}
	d.OwnerExec(t, `DROP OWNED BY "first role"; DROP ROLE "first role"; DROP OWNED BY second_role; DROP ROLE second_role`)
}

// TestLaterTablesInAnotherSchema checks that tables of the same name in another schema change nothing after the first run.
func TestLaterTablesInAnotherSchema(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	apply(t, d, utc)
	d.OwnerExec(t, `CREATE SCHEMA backup; CREATE TABLE backup."user" (LIKE public."user"); CREATE TABLE backup.session (LIKE public.session)`)
	if err := check(t, d); err != nil {
		t.Errorf("Check = %v", err)
	}
	if done := apply(t, d, utc); len(done) != 0 {
		t.Errorf("Apply did %v, want nothing", done)
	}
}
