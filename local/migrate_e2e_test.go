//go:build e2e

package main

import (
	"fmt"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestMigrateThroughPgBouncer migrates several times through a pooler, which gives each run the connection of the one before.
func TestMigrateThroughPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			superuser := d.Owner.Config().ConnConfig.User
			b := testenv.StartPgBouncerMode(t, mode, testenv.Postgres(t).Addr(), 1, superuser)
			env := []string{fmt.Sprintf("DATABASE_URL=postgres://%s@%s/%s?sslmode=disable", superuser, b.Addr, d.Name)}
			wantText(t, &runToEnd(t, 0, env, "migrate").stdout, "adapter to")
			for range 2 {
				wantText(t, &runToEnd(t, 0, env, "migrate").stdout, "nothing to do")
				runToEnd(t, 0, env, "migrate", "-print")
			}
		})
	}
}
