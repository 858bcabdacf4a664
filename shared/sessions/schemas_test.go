package sessions_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestRefreshOddSchemas refreshes sessions on schemas whose types are not better-auth's own.
func TestRefreshOddSchemas(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		schema, change string
		user, token    string
		created        string
		extended       bool
	}{
		"session.token is a uuid":        {"plugins", `ALTER TABLE session ALTER token TYPE uuid USING token::uuid`, "u1", "0b54a2b4-6f0c-4c3e-9b1d-8c1f7e6d5a4b", "now()", true},
		"userId varchar, user.id text":   {"plugins", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey", ALTER "userId" TYPE varchar`, "u1", "token1", "now()", true},
		"userId text, user.id uuid":      {"uuid", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey", ALTER "userId" TYPE text`, "0b54a2b4-6f0c-4c3e-9b1d-8c1f7e6d5a4b", "token1", "now()", true},
		"userId bigint, user.id integer": {"serial", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey", ALTER "userId" TYPE bigint`, "7", "token1", "now()", true},
		"times are domains":              {"plugins", `CREATE DOMAIN ts AS timestamptz; ALTER TABLE session ALTER "expiresAt" TYPE ts, ALTER "createdAt" TYPE ts`, "u1", "token1", "now()", true},
		"ids of two collations": {"plugins", `ALTER TABLE session DROP CONSTRAINT "session_userId_fkey", ALTER "userId" TYPE text COLLATE "POSIX"; ALTER TABLE account DROP CONSTRAINT "account_userId_fkey";
			ALTER TABLE "user" ALTER id TYPE text COLLATE "C"`, "u1", "token1", "now()", true},
		// Without createdAt the cap cannot be computed.
		"createdAt is NULL": {"plugins", `ALTER TABLE session ALTER "createdAt" DROP NOT NULL`, "u1", "token1", "NULL", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, test.schema)
			d.OwnerExec(t, test.change)
			id, value := "", "" // the schema's default
			if test.schema == "plugins" {
				id, value = "id, ", "'s1', "
			}
			d.OwnerExec(t, `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('`+test.user+`', 'Player', 'player@example.com', true);
				INSERT INTO session (`+id+`token, "userId", "expiresAt", "createdAt", "updatedAt") VALUES (`+value+`'`+test.token+`', '`+test.user+`', now() + interval '10 minutes', `+test.created+`, now())`)
			conn, err := pgx.ConnectConfig(t.Context(), d.Owner.Config().ConnConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			if _, err := migrations.Apply(t.Context(), conn, migrations.Options{}); err != nil {
				t.Fatal(err)
			}
			c := client(t, testenv.NewOn(t, d, "miniredis").Program, nil)
			got, err := c.RefreshSession(t.Context(), refreshToken(test.token))
			if err != nil || got.Extended != test.extended || got.Session.UserId != test.user {
				t.Errorf("RefreshSession = %v, %v; want extended %t of user %s", got, err, test.extended, test.user)
			}
			if test.extended {
				return
			}
			// The function in the database has the same rule.
			var rows int
			if err := d.Owner.QueryRow(t.Context(), `SELECT count(*) FROM game.extend_session('s1', '1 hour', '720 hours', '5 minutes')`).Scan(&rows); err != nil || rows != 0 {
				t.Errorf("game.extend_session extended %d sessions (%v), want none", rows, err)
			}
		})
	}
}
