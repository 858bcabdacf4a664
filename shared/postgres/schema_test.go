package postgres_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres"
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
