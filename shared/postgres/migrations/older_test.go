package migrations_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestOlderProgram runs an older program's migration, as a rollback may. What a newer one has made stays.
func TestOlderProgram(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: a newer program's database")
	for name, newer := range map[string]string{
		"a numbered migration": `INSERT INTO game.migration (version) VALUES (99); `,
		"the adapter":          `UPDATE game.adapter SET version = 99; `,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, "plugins")
			d.OwnerExec(t, newer+`UPDATE game.adapter SET sql_hash = 'of the newer program'`)
			done := apply(t, d, migrations.Options{})
			if len(done) != 1 || !strings.Contains(done[0], "a newer program has migrated") {
				t.Errorf("Apply did %q, want only a note", done)
			}
			sentences.Add(done[0])
			var hash string
			if err := d.Owner.QueryRow(t.Context(), `SELECT sql_hash FROM game.adapter`).Scan(&hash); err != nil || hash != "of the newer program" {
				t.Errorf("the adapter has the hash %q (%v), want the newer program's", hash, err)
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check = %v", err)
			}
		})
	}
}
