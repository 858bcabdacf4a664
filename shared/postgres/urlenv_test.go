package postgres_test

import (
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/postgres"
)

// TestWrongEnvironment sets libpq's variables, which pgx reads with the URL: the error names the variable that is wrong, not the URL.
func TestWrongEnvironment(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"PGSSLMODE", "hunter2canary", "PGSSLMODE, which is wrong: it is one of"},
		{"PGPORT", "hunter2canary", "PGPORT, which is wrong: it is a number"},
		{"PGCONNECT_TIMEOUT", "5s", "PGCONNECT_TIMEOUT, which is wrong: it is a number"},
		{"PGREQUIREAUTH", "hunter2canary", "PGREQUIREAUTH, which is wrong: it is scram-sha-256"},
		{"PGSERVICE", "hunter2canary", "PGSERVICE does, that no service file has"},
		{"PGTARGETSESSIONATTRS", "hunter2canary", "PGTARGETSESSIONATTRS, which is wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			err := postgres.CheckURL("postgres://u:hunter2canary@h/d", false, false)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2canary") {
				t.Errorf("CheckURL = %v, want %q", err, test.want)
			}
		})
	}
}
