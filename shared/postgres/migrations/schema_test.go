package migrations_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// checkIn is Check of a schema by the service's login.
func checkIn(t testing.TB, d *testenv.Database, own postgres.Schema) error {
	t.Helper()
	s, err := (&migrations.Checker{Schema: own}).Check(t.Context(), service(t, d))
	if err == nil && s.Warning != "" {
		t.Errorf("Check of %s: %s", own, s.Warning)
	}
	return err
}

// schemas lists the schemas of a database that neither PostgreSQL nor better-auth has made.
func schemas(t testing.TB, d *testenv.Database) (list string) {
	t.Helper()
	err := d.Owner.QueryRow(t.Context(), `SELECT coalesce(string_agg(nspname, ' ' ORDER BY nspname), '') FROM pg_namespace
		WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')`).Scan(&list)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAnotherSchema migrates into a schema of another name, by a run and by the printed text.
func TestAnotherSchema(t *testing.T) {
	t.Parallel()
	long := postgres.Schema(strings.Repeat("long_name", 7))
	for _, test := range []struct {
		own     postgres.Schema
		variant string
		printed bool
	}{
		{"other", "plugins", true}, {"other", "core", true}, {"other", "snake", false}, {"other", "uuid", true}, {"other", "serial", false}, {"other", "timestamp", false},
		{"_9", "plugins", false}, {"games", "plugins", true}, {"my_game", "plugins", false}, {long, "plugins", false},
		{"users", "snake", false}, {"values", "plugins", true}, {"position", "plugins", false}, {"row", "plugins", false}, // they are no reserved words
	} {
		t.Run(fmt.Sprint(test.own, " ", test.variant), func(t *testing.T) {
			t.Parallel()
			o := utc
			o.Schema = test.own
			d := testenv.NewEmptyDatabase(t, test.variant)
			if test.printed {
				text, err := migrations.SQL(t.Context(), connect(t, d), o)
				if err != nil || regexp.MustCompile(`\bgame\b`).MatchString(text) {
					t.Fatalf("SQL = %s, %v; want no schema game", text, err)
				}
				d.OwnerExec(t, text)
			} else {
				apply(t, d, o)
			}
			if got := schemas(t, d); got != test.own.String() {
				t.Errorf("the database has the schemas %q, want %s", got, test.own)
			}
			if err := checkIn(t, d, test.own); err != nil {
				t.Errorf("Check = %v", err)
			}
			if done := apply(t, d, o); len(done) != 0 {
				t.Errorf("Apply again did %v, want nothing", done)
			}
		})
	}
}

// TestBetterAuthInSchemaGame has better-auth's tables where the service's are by default.
func TestBetterAuthInSchemaGame(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `CREATE SCHEMA game; GRANT USAGE ON SCHEMA game TO web_application; ALTER TABLE "user" SET SCHEMA game; ALTER TABLE session SET SCHEMA game; ALTER TABLE account SET SCHEMA game;
		INSERT INTO game."user" (id, name, email, username, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', 'player', true);
		INSERT INTO game.session (id, token, "userId", "expiresAt", "updatedAt") VALUES ('s1', 'token', 'u1', now() + interval '1 hour', now())`)
	done := apply(t, d, migrations.Options{Schema: "other"})
	if want := `adapter to "game"."user" and "game"."session"`; done[len(done)-1] != want {
		t.Errorf("Apply did %q, want at its end %q", done, want)
	}
	if err := checkIn(t, d, "other"); err != nil {
		t.Errorf("Check = %v", err)
	}
}

func TestSchemaRefused(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: the service's schema")
	for name, test := range map[string]struct {
		own    postgres.Schema
		before func(*testing.T, *testenv.Database)
		want   string
	}{
		"a reserved word": {"user", nil, "user is a reserved word of PostgreSQL"},
		"no name":         {"Other Schema", nil, "is not a name for the service's schema"},
		"there already":   {"other", func(t *testing.T, d *testenv.Database) { d.OwnerExec(t, `CREATE SCHEMA other`) }, "the schema other is there already"},
		"game, and there": {"", func(t *testing.T, d *testenv.Database) { d.OwnerExec(t, `CREATE SCHEMA game`) }, "the schema game is there already"},
		"better-auth's": {"auth", func(t *testing.T, d *testenv.Database) {
			d.OwnerExec(t, `CREATE SCHEMA auth; ALTER TABLE "user" SET SCHEMA auth`)
		}, "the schema auth is there already"},
		"renamed": {"other", func(t *testing.T, d *testenv.Database) {
			apply(t, d, utc)
			d.OwnerExec(t, `ALTER SCHEMA game RENAME TO other`)
		}, "the schema other was renamed"},
		"renamed to game": {"", func(t *testing.T, d *testenv.Database) {
			apply(t, d, migrations.Options{Schema: "my_game"})
			d.OwnerExec(t, `ALTER SCHEMA my_game RENAME TO game`)
		}, "the schema game was renamed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			if test.before != nil {
				test.before(t, d)
			}
			before := schemas(t, d)
			_, err := migrations.Apply(t.Context(), connect(t, d), migrations.Options{Schema: test.own})
			sentences.Add(fmt.Sprint(err))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Apply = %v, want %q", err, test.want)
			}
			if after := schemas(t, d); after != before {
				t.Errorf("the refused run changed the schemas %q to %q", before, after)
			}
		})
	}
}

// TestCheckNamesTheSchema breaks a schema of another name. Each sentence can be followed as it is.
func TestCheckNamesTheSchema(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: a schema of another name")
	const run = "run database-service migrate -schema other"
	for name, test := range map[string]struct{ change, want string }{
		"only another one": {`DROP SCHEMA other CASCADE`, "schema other is missing: " + run},
		"an old version":   {`DELETE FROM other.migration WHERE version > 1`, "schema other is at version 1, this program needs"},
		"no view":          {`DROP VIEW other.users`, "the view other.users is missing: " + run},
		"no trigger":       {`DROP TRIGGER database_service_log_change_other ON "user"`, "the triggers on better-auth's user table are gone: " + run},
		"no function":      {`DROP FUNCTION other.session_by_id(text)`, "the function other.session_by_id fails"},
		"a right":          {`REVOKE SELECT ON other.users FROM database_service`, "GRANT SELECT ON other.users TO database_service; or " + run},
		"the schema":       {`REVOKE USAGE ON SCHEMA other FROM database_service`, "GRANT USAGE ON SCHEMA other TO database_service; or " + run},
		"a function":       {`REVOKE EXECUTE ON FUNCTION other.session_by_id(text) FROM database_service`, "GRANT EXECUTE ON FUNCTION other.session_by_id(text) TO"},
		"the owner's right": {`ALTER FUNCTION other.session_by_token_as(text,boolean) OWNER TO game_service`,
			"the function other.session_by_token_as fails: permission denied for table session: run database-service migrate -schema other, as a role that may SELECT"},
		"a column's type": {`ALTER TABLE session ALTER COLUMN "ipAddress" TYPE inet USING NULL`, `column "public"."session"."ipAddress"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, "plugins")
			apply(t, d, migrations.Options{Schema: "other"})
			d.OwnerExec(t, test.change)
			err := checkIn(t, d, "other")
			sentences.Add(fmt.Sprint(err))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "game.") ||
				!errors.Is(err, migrations.ErrSchema) && !errors.Is(err, migrations.ErrRights) {
				t.Errorf("Check = %v, want %q", err, test.want)
			}
			if name != "a column's type" {
				if err := checkIn(t, d, ""); err != nil {
					t.Errorf("Check of the schema game, which is whole = %v", err)
				}
			}
		})
	}
}

// TestTwoSchemas has several schemas in one database. None disturbs another one.
func TestTwoSchemas(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 62)
	d := testenv.NewEmptyDatabase(t, "snake") // its table is called users, as the service's view
	all := []postgres.Schema{"game", "other", postgres.Schema(long + "1"), postgres.Schema(long + "2")}
	for _, own := range all {
		apply(t, d, migrations.Options{Schema: own})
	}
	whole := func(after string, changed postgres.Schema) {
		t.Helper()
		for _, own := range all {
			if err := checkIn(t, d, own); err != nil {
				t.Errorf("%s: Check of %s = %v", after, own, err)
			}
			if own == changed {
				continue // a run without its flag would undo the change
			}
			if done := apply(t, d, migrations.Options{Schema: own}); len(done) != 0 {
				t.Errorf("%s: a run for %s did %v, want nothing", after, own, done)
			}
		}
	}
	whole("after all runs", "")
	user := d.AddUser(t, "Alice")
	released := func(own postgres.Schema) (n int) {
		t.Helper()
		if err := d.Owner.QueryRow(t.Context(), own.In(`SELECT count(*) FROM game.character WHERE deleted_at IS NOT NULL`)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, own := range all {
		d.OwnerExec(t, own.In(`INSERT INTO game.character (user_id, slot, name, level, job, money) VALUES (game.user_id($1), 0, 'Same-Name', 1, 0, 0)`), user)
		d.OwnerExec(t, own.In(`TRUNCATE game.cache_change`))
	}
	d.WebExec(t, `DELETE FROM {user} WHERE id = $1`, user)
	for _, own := range all {
		var logged bool
		if err := d.Owner.QueryRow(t.Context(), own.In(`SELECT EXISTS (SELECT FROM game.cache_change WHERE key = 'user:' || $1)`), user).Scan(&logged); err != nil || !logged {
			t.Errorf("%s has logged the change: %t, %v", own, logged, err)
		}
		if n := released(own); n != 1 {
			t.Errorf("%s: %d characters of the removed user are released, want 1", own, n)
		}
	}
	apply(t, d, migrations.Options{Schema: "other", NoUserTrigger: true})
	whole("after -no-user-trigger for other", "other")
	if got, want := len(strings.Fields(triggers(t, d))), 2*(len(all)-1); got != want {
		t.Errorf("the user table has %d triggers of ours, want %d", got, want)
	}
}

// TestViewsOfTwoSchemas has a view in place of better-auth's user table. The service's own view has the same name and columns.
func TestViewsOfTwoSchemas(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `ALTER TABLE "user" RENAME TO people; CREATE VIEW users AS SELECT * FROM people`)
	for _, own := range []postgres.Schema{"game", "other", "third"} {
		if done := apply(t, d, migrations.Options{Schema: own}); !strings.Contains(done[len(done)-1], `adapter to "public"."users"`) {
			t.Errorf("the run for %s did %q, want an adapter to the view of the web application", own, done)
		}
	}
	for _, own := range []postgres.Schema{"game", "other", "third"} {
		if err := checkIn(t, d, own); err != nil {
			t.Errorf("Check of %s = %v", own, err)
		}
	}
}
