package migrations_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestMissingIndexes has tables without better-auth's indexes. The run says so, until what it advises has been done.
func TestMissingIndexes(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: missing indexes")
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `ALTER TABLE session DROP CONSTRAINT session_token_key; CREATE UNIQUE INDEX ON session (lower(token)); CREATE INDEX ON session (token);
		ALTER TABLE "user" DROP CONSTRAINT user_email_key; CREATE UNIQUE INDEX ON "user" (email) WHERE banned`)
	done := apply(t, d, migrations.Options{})
	note := done[len(done)-1]
	sentences.Add(note)
	_, advice, ok := strings.Cut(note, "or find several rows: ")
	if !ok || strings.Count(advice, "CREATE UNIQUE INDEX") != 2 {
		t.Fatalf("Apply did %q, want at its end a note about token and email", done)
	}
	d.OwnerExec(t, advice)
	if done := apply(t, d, migrations.Options{}); len(done) != 0 {
		t.Errorf("Apply after the advice did %q, want nothing", done)
	}
}

// TestPartitionedTables has tables that cannot have a unique index on each column.
func TestPartitionedTables(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `ALTER TABLE session RENAME TO old; CREATE TABLE session (LIKE old INCLUDING DEFAULTS) PARTITION BY RANGE ("expiresAt"); CREATE TABLE s PARTITION OF session DEFAULT;
		DROP TABLE old; ALTER TABLE session OWNER TO web_application; `+aUser)
	done := apply(t, d, migrations.Options{})
	_, advice, ok := strings.Cut(done[len(done)-1], "or find several rows: ")
	if !ok {
		t.Fatalf("Apply did %q, want at its end a note", done)
	}
	d.OwnerExec(t, advice)
	if done := apply(t, d, migrations.Options{}); len(done) != 0 {
		t.Errorf("Apply after the advice did %q, want nothing", done)
	}
	if err := check(t, d); err != nil || !found(t, d) {
		t.Errorf("Check = %v; or the service does not find the user or the session", err)
	}
}
