package staff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestPrefixInEveryCollation compares the range that an index serves with starts_with, in each collation that the server has: none of them
// may sort a text with the prefix outside of the range.
func TestPrefixInEveryCollation(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	rows, err := d.Owner.Query(t.Context(), `SELECT DISTINCT ON (collprovider, split_part(collname, '-', 1)) quote_ident(collname)
  FROM pg_collation
 WHERE collencoding IN (-1, pg_char_to_encoding('UTF8')) AND collisdeterministic AND collname <> 'default'
 ORDER BY collprovider, split_part(collname, '-', 1), collname`)
	if err != nil {
		t.Fatal(err)
	}
	collations, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(collations) < 2 {
		t.Fatalf("collations: %q, %v", collations, err)
	}
	const texts = `(SELECT DISTINCT left(p || s, 12) AS x
	  FROM unnest(ARRAY['ann', 'an', 'a', 'z', 'zz', 'Ann', 'ch', 'll', 'aa', 'ss', 'user_', 'user-', 'user.', 'i', 'ij', '0', '9', 'a@']) AS p,
	       unnest(ARRAY['', 'a', 'z', 'Z', '0', '9', '_', '-', '.', '@', '+', 'ch', 'll', 'aa', 'zz', 'zzzzzz', '~', 'é', 'ß', 'ž', 'я', '日', chr(65533), chr(128512)]) AS s) AS t`
	for _, c := range collations {
		var wrong []string
		for _, prefix := range []string{"a", "an", "ann", "z", "zz", "c", "ch", "l", "user_", "user", "i", "0", "a@", "s", "ss"} {
			sql := fmt.Sprintf(`SELECT coalesce(string_agg(x, ' '), '') FROM %s
			  WHERE game.email_starts(x COLLATE %s, $1) <> starts_with(x, $1)`, texts, c)
			var lost string
			if err := d.Owner.QueryRow(t.Context(), sql, prefix).Scan(&lost); err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			if lost != "" {
				wrong = append(wrong, prefix+": "+lost)
			}
		}
		if wrong != nil {
			t.Errorf("collation %s: these texts have the prefix and are not found: %s", c, strings.Join(wrong, "; "))
		}
	}
	t.Logf("%d collations", len(collations))
}

// TestPrefixWithoutCase finds users by the beginning of a name, in a column whose collation ignores case.
func TestPrefixWithoutCase(t *testing.T) {
	t.Parallel()
	for variant, column := range map[string]string{"core": "name", "plugins": "username"} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, variant)
			d.OwnerExec(t, `CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE "user" ALTER `+column+` TYPE text COLLATE ci`)
			conn, err := d.Owner.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = migrations.Apply(t.Context(), conn.Conn(), migrations.Options{})
			conn.Release()
			if err != nil {
				t.Fatal(err)
			}
			id := d.AddUser(t, "Player1")
			e := start(t, testenv.NewOn(t, d, "miniredis", testenv.AlsoStaff))
			got, err := e.FindPlayers(t.Context(), &databasev1.FindPlayersRequest{Query: "Play", By: databasev1.PlayerField_PLAYER_FIELD_USERNAME, Match: databasev1.PlayerMatch_PLAYER_MATCH_PREFIX})
			if err != nil || len(got.Players) != 1 || got.Players[0].UserId != id {
				t.Errorf("FindPlayers(Play) = %v, %v; want %s", got, err, id)
			}
		})
	}
}
