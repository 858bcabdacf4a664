package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestIDsOfAnotherType changes the type of users' ids after a run, and follows the advice. Each character stays its user's.
func TestIDsOfAnotherType(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: ids of another type")
	const keys = `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey"; ALTER TABLE account DROP CONSTRAINT "account_userId_fkey"; `
	for name, test := range map[string]struct{ variant, id, change string }{
		"text to uuid":      {"plugins", "0b54a2b4-6f0c-4c3e-9b1d-8c1f7e6d5a4b", `ALTER TABLE "user" ALTER id TYPE uuid USING id::uuid; ALTER TABLE session ALTER "userId" TYPE uuid USING "userId"::uuid`},
		"text to varchar":   {"plugins", "u1", `ALTER TABLE "user" ALTER id TYPE varchar(36)`},
		"integer to bigint": {"serial", "7", `ALTER TABLE "user" ALTER id TYPE bigint; ALTER TABLE session ALTER "userId" TYPE bigint`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, test.variant)
			apply(t, d, utc)
			d.OwnerExec(t, `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('`+test.id+`', 'Player', 'player@example.com', true);
				INSERT INTO game.character (user_id, slot, name, level, job, money) VALUES ('`+test.id+`', 0, 'Hero0', 1, 0, 0);
				INSERT INTO game.note (who, user_id, text) VALUES ('staff', '`+test.id+`', 'text');
				DROP VIEW game.users; `+keys+test.change)
			_, err := migrations.Apply(t.Context(), connect(t, d), utc)
			sentences.Add(fmt.Sprint(err))
			_, advice, ok := strings.Cut(fmt.Sprint(err), "migrate again: ")
			if !ok {
				t.Fatalf("Apply = %v, want what to run", err)
			}
			d.OwnerExec(t, advice)
			apply(t, d, utc)
			if err := check(t, d); err != nil {
				t.Errorf("Check = %v", err)
			}
			var n int
			if err := d.Owner.QueryRow(t.Context(), `SELECT count(*) FROM game.character JOIN game.note USING (user_id) WHERE user_id = game.user_id($1)`, test.id).Scan(&n); err != nil || n != 1 {
				t.Errorf("the user has %d characters with a note (%v), want 1", n, err)
			}
		})
	}
}
