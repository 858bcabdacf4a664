package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// set changes a setting of the migrating role in d.
func set(t *testing.T, d *testenv.Database, setting string) {
	t.Helper()
	d.OwnerExec(t, `DO $do$ BEGIN EXECUTE format('ALTER ROLE %I IN DATABASE %I SET ', current_user, current_database()) || $x$`+setting+`$x$; END $do$`)
	d.Owner.Reset()
}

// TestSettings runs with settings of the role that other programs need. Runs at once must not disturb each other.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"statement_timeout = '100ms'", "idle_in_transaction_session_timeout = '100ms'", "lock_timeout = '1ms'", "standard_conforming_strings = off",
		"default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'", "quote_all_identifiers = on",
		"search_path = 'nothing'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Kathmandu'", "bytea_output = 'escape'",
		"session_replication_role = 'replica'", "check_function_bodies = off", "row_security = off", "transform_null_equals = on",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, aUser+`; INSERT INTO "user" (id, name, email, "emailVerified") SELECT 'p' || i, 'Player', 'p' || i || '@example.com', true FROM generate_series(1, 20000) AS i;
				ALTER TABLE "user" RENAME name TO "na""me"`)
			set(t, d, setting)
			const runs = 3
			results := make(chan error, runs)
			for range runs {
				conn := connect(t, d)
				go func() {
					_, err := migrations.Apply(context.Background(), conn, migrations.Options{Names: migrations.Names{Columns: map[string]string{"user.name": `na"me`}}})
					results <- err
				}()
			}
			for range runs {
				if err := <-results; err != nil {
					t.Errorf("%d runs at once: %v", runs, err)
				}
			}
			if done := apply(t, d, migrations.Options{}); len(done) != 0 {
				t.Errorf("a run that remembers the name did %v, want nothing", done)
			}
			if err := check(t, d); err != nil {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// TestReadOnly migrates a database that refuses changes, as a server without space on its disk may.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: a read-only database")
	d := testenv.NewEmptyDatabase(t, "plugins")
	set(t, d, "default_transaction_read_only = on")
	_, err := migrations.Apply(t.Context(), connect(t, d), utc)
	sentences.Add(fmt.Sprint(err))
	if err == nil || !strings.Contains(err.Error(), "must lead to the primary") {
		t.Errorf("Apply = %v, want what to do", err)
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: the database's encoding")
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		d := testenv.NewOddDatabase(t, "plugins", "TEMPLATE template0 ENCODING '"+encoding+"' LOCALE 'C'")
		_, err := migrations.Apply(t.Context(), connect(t, d), utc)
		sentences.Add(fmt.Sprint(err))
		if err == nil || !strings.Contains(err.Error(), "has the encoding "+encoding) {
			t.Errorf("Apply = %v, want a refusal", err)
		}
	}
}
