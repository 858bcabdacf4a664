package users_test

import (
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestNulls reads a user and a session whose columns are NULL, except for ids, token, name and e-mail.
func TestNulls(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"plugins", "timestamp"} {
		t.Run(schema, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, schema)
			d.OwnerExec(t, `ALTER TABLE "user" ALTER "emailVerified" DROP NOT NULL, ALTER "createdAt" DROP NOT NULL, ALTER "updatedAt" DROP NOT NULL;
				ALTER TABLE session ALTER "createdAt" DROP NOT NULL, ALTER "updatedAt" DROP NOT NULL, ALTER "expiresAt" DROP NOT NULL, ALTER "userId" DROP NOT NULL;
				INSERT INTO "user" (id, name, email, username, "createdAt", "updatedAt") VALUES ('u1', 'Player', 'player@example.com', 'player', NULL, NULL);
				INSERT INTO session (id, token, "userId", "expiresAt", "createdAt") VALUES
				('s1', 'token1', 'u1', now() AT TIME ZONE 'UTC' + interval '1 hour', NULL), ('s2', 'token2', 'u1', NULL, NULL),
				('s3', 'token3', NULL, now() AT TIME ZONE 'UTC' + interval '1 hour', NULL)`)
			migrate(t, d)
			c := client(t, testenv.NewOn(t, d, "miniredis").Program)
			if u := getUser(t, c, "u1"); u.CreatedAt != nil || u.UpdatedAt != nil || u.EmailVerified || u.Banned {
				t.Errorf("GetUser = %v, want no times, not verified, not banned", u)
			}
			if u, err := byUsername(t.Context(), c, "player"); err != nil || u.Id != "u1" {
				t.Errorf("GetUserByUsername = %v, %v; want u1", u, err)
			}
			bySession := func(token string) (*databasev1.GetUserBySessionResponse, error) {
				return c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
			}
			if r, err := bySession("token1"); err != nil || r.User.Id != "u1" || r.Session.CreatedAt != nil || r.Session.UpdatedAt != nil {
				t.Errorf("GetUserBySession = %v, %v; want u1 and no times", r, err)
			}
			_, err := bySession("token2")
			wantCode(t, "GetUserBySession without an expiry", err, twirp.NotFound, "SESSION_EXPIRED")
			_, err = bySession("token3")
			wantCode(t, "GetUserBySession of a session without a user", err, twirp.NotFound, "SESSION_NOT_FOUND")
		})
	}
}
