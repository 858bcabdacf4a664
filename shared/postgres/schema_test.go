package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestSchemaNames(t *testing.T) {
	t.Parallel()
	for name, valid := range map[postgres.Schema]bool{
		"": true, "game": true, "other": true, "_": true, "a9_": true, "pgame": true, postgres.Schema(strings.Repeat("x", 63)): true,
		postgres.Schema(strings.Repeat("x", 64)): false, "9a": false, "pg_game": false, "public": false, "information_schema": false, "Game": false,
		"a b": false, "a-b": false, "a.b": false, `"a"`: false, "ä": false, "a\n": false, " ": false, "a'": false, "a;b": false,
	} {
		if err := name.Check(); (err == nil) != valid {
			t.Errorf("Check of %q = %v, want valid: %t", string(name), err, valid)
		}
	}
}

// TestSchemaIn checks which texts name the schema, and which only look so.
func TestSchemaIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT game.user_id(u.id) FROM game.users AS u":        "SELECT other.user_id(u.id) FROM other.users AS u",
		"CREATE SCHEMA game;":                                   "CREATE SCHEMA other;",
		"n.nspname = 'game' OR to_regclass('game.users')":       "n.nspname = 'other' OR to_regclass('other.users')",
		"grant the owner of the schema game SELECT":             "grant the owner of the schema other SELECT",
		`"game"."users", my_game.users, games.x, 'game server'`: `"game"."users", my_game.users, games.x, 'game server'`,
		"a game server's name":                                  "a game server's name",
	} {
		if got := postgres.Schema("other").In(text); got != want {
			t.Errorf("In(%q) = %q, want %q", text, got, want)
		}
		if got := postgres.Schema("game").In(text); got != text {
			t.Errorf("In(%q) = %q in the default schema, want the same", text, got)
		}
	}
}

// TestSchemaOfStatements runs statements of each kind, also behind a pooler that loses prepared statements.
func TestSchemaOfStatements(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "")
	d.OwnerExec(t, `CREATE SCHEMA other; CREATE TABLE other.written (n int); GRANT USAGE ON SCHEMA other TO PUBLIC; GRANT ALL ON other.written TO PUBLIC`)
	for _, params := range []string{"", "&default_query_exec_mode=cache_describe", "&description_cache_capacity=0"} {
		t.Run(params, func(t *testing.T) {
			d.OwnerExec(t, `TRUNCATE other.written`)
			db, err := postgres.Open(fmt.Sprintf("postgres://game_service@%s/%s?sslmode=disable&pool_max_conns=1%s", testenv.Postgres(t).Addr(), d.Name, params),
				postgres.Options{Budgets: testenv.Budgets().Database, Schema: "other"})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for i := range 4 {
				exec(t, db, `INSERT INTO game.written VALUES ($1)`, i)
				exec(t, db.Urgent(), `INSERT INTO game.written VALUES (@n)`, postgres.Args{"n": i})
				if n := one[int](t, db, `SELECT count(*)::int FROM game.written WHERE n <= @n`, postgres.Args{"n": i}); n != 2*(i+1) {
					t.Errorf("round %d: %d rows, want %d", i, n, 2*(i+1))
				}
				if i == 1 {
					exec(t, db, `DEALLOCATE ALL`)
				}
			}
		})
	}
}
