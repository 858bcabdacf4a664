package users_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestOtherNames reads tables and columns with other names than better-auth's.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		names  migrations.Names
		view   bool
	}{
		"renamed tables and columns": {
			`ALTER TABLE "user" RENAME TO auth_user; ALTER TABLE auth_user RENAME name TO full_name; ALTER TABLE session RENAME TO "Auth Session"; ALTER TABLE "Auth Session" RENAME token TO secret`,
			migrations.Names{UserTable: "auth_user", SessionTable: "Auth Session", Columns: map[string]string{"user.name": "full_name", "session.token": "secret"}}, false,
		},
		"a column beside one of better-auth's name": {
			`ALTER TABLE "user" ADD handle text UNIQUE; UPDATE "user" SET handle = username, username = 'another'`,
			migrations.Names{Columns: map[string]string{"user.username": "handle"}}, false,
		},
		"a view with another name": {
			`ALTER TABLE "user" RENAME TO accounts_v2; CREATE VIEW auth_user AS SELECT * FROM accounts_v2`,
			migrations.Names{UserTable: "auth_user"}, true,
		},
		"views in place of both tables": {
			`ALTER TABLE "user" RENAME TO ba_user; CREATE VIEW "user" AS SELECT * FROM ba_user; ALTER TABLE session RENAME TO ba_session; CREATE VIEW session AS SELECT * FROM ba_session`,
			migrations.Names{}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			d.OwnerExec(t, `INSERT INTO "user" (id, name, email, username, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', 'player', true);
				INSERT INTO session (id, token, "userId", "expiresAt", "updatedAt") VALUES ('s1', 'token1', 'u1', now() + interval '10 minutes', now()); `+test.change)
			conn, err := pgx.ConnectConfig(t.Context(), d.Owner.Config().ConnConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			done, err := migrations.Apply(t.Context(), conn, migrations.Options{Names: test.names})
			if err != nil {
				t.Fatal(err)
			}
			if told := slices.ContainsFunc(done, func(s string) bool { return strings.Contains(s, "is a view") }); told != test.view {
				t.Errorf("the steps %q: a view is mentioned: %t, want %t", done, told, test.view)
			}
			if again, err := migrations.Apply(t.Context(), conn, migrations.Options{}); err != nil || len(again) > 0 {
				t.Errorf("Apply without names did %q, %v; want nothing", again, err)
			}
			if s, err := migrations.Check(t.Context(), conn); err != nil || s.UserTrigger == test.view {
				t.Errorf("Check = %+v, %v; want triggers: %t", s, err, !test.view)
			}
			c := client(t, testenv.NewOn(t, d, "miniredis").Program)
			if u := getUser(t, c, "u1"); u.Name != "Player" || u.Username != "player" {
				t.Errorf("GetUser = %v", u)
			}
			if u, err := byUsername(t.Context(), c, "player"); err != nil || u.Id != "u1" {
				t.Errorf("GetUserByUsername = %v, %v; want u1", u, err)
			}
			r, err := c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: "token1"}})
			if err != nil || r.User.Id != "u1" {
				t.Errorf("GetUserBySession = %v, %v; want u1", r, err)
			}
			var extended int
			if err := d.Owner.QueryRow(t.Context(), `SELECT count(*) FROM game.extend_session('s1', '1 hour', '720 hours', '5 minutes')`).Scan(&extended); err != nil || extended != 1 {
				t.Errorf("game.extend_session extended %d sessions (%v), want 1", extended, err)
			}
		})
	}
}
