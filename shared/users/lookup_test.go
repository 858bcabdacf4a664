package users_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

func byUsername(ctx context.Context, c databasev1.UserService, name string) (*databasev1.User, error) {
	r, err := c.GetUserByUsername(ctx, &databasev1.GetUserByUsernameRequest{Username: name})
	return r.GetUser(), err
}

func byEmail(ctx context.Context, c databasev1.UserService, email string) (*databasev1.User, error) {
	r, err := c.GetUserByEmail(ctx, &databasev1.GetUserByEmailRequest{Email: email})
	return r.GetUser(), err
}

type lookup func(context.Context, databasev1.UserService, string) (*databasev1.User, error)

func TestGetUserByName(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		id := e.AddUser(t, "Player1")
		want := getUser(t, c, id)
		for call, test := range map[string]struct {
			get  lookup
			keys []string
		}{
			"GetUserByUsername": {byUsername, []string{"player1", "Player1", "PLAYER1"}},
			"GetUserByEmail":    {byEmail, []string{"player1@example.com", "Player1@Example.COM"}},
		} {
			for range 2 { // from the database, then by the pointer
				for _, key := range test.keys {
					got, err := test.get(t.Context(), c, key)
					if d := cmp.Diff(want, got, protocmp.Transform()); err != nil || d != "" {
						t.Errorf("%s(%q): error %v (-want +got):\n%s", call, key, err, d)
					}
				}
			}
			_, err := test.get(t.Context(), c, "nobody@example.com")
			wantCode(t, call+" of an unknown user", err, twirp.NotFound, "USER_NOT_FOUND")
		}
		t.Run("redis has no e-mail", func(t *testing.T) {
			for _, key := range e.Redis.Client.Keys(t.Context(), "*").Val() {
				if strings.Contains(key, "@") {
					t.Errorf("redis has the key %q", key)
				}
			}
		})
	})
}

func TestGetUserByUsernameAmbiguous(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "core", "miniredis")
	c := client(t, e.Program)
	id := e.AddUser(t, "Twin")
	if got, err := byUsername(t.Context(), c, "twin"); err != nil || got.Id != id {
		t.Errorf(`GetUserByUsername("twin") = %v, %v; want %s`, got, err, id)
	}
	other := e.AddUser(t, "Other")
	e.WebExec(t, `UPDATE {user} SET [name] = 'TWIN' WHERE id = $1`, other)
	_, err := byUsername(t.Context(), c, "twin")
	wantCode(t, "GetUserByUsername of two users' name", err, twirp.FailedPrecondition, "AMBIGUOUS_USERNAME")
}

// TestNameMovesToAnotherUser checks that a name that has moved to another user never returns the first one, although a
// pointer is cached.
func TestNameMovesToAnotherUser(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		first, second := e.AddUser(t, "Wanted"), e.AddUser(t, "Second")
		for range 3 {
			if got, err := byUsername(t.Context(), c, "wanted"); err != nil || got.Id != first {
				t.Fatalf("GetUserByUsername = %v, %v; want %s", got, err, first)
			}
			if got, err := byEmail(t.Context(), c, "wanted@example.com"); err != nil || got.Id != first {
				t.Fatalf("GetUserByEmail = %v, %v; want %s", got, err, first)
			}
		}
		e.WebExec(t, `UPDATE {user} SET [username] = 'former', [email] = 'former@example.com' WHERE id = $1`, first)
		e.WebExec(t, `UPDATE {user} SET [username] = 'wanted', [email] = 'wanted@example.com' WHERE id = $1`, second)
		settle(t, e)
		for range 2 {
			if got, err := byUsername(t.Context(), c, "wanted"); err != nil || got.Id != second {
				t.Errorf("GetUserByUsername after the name moved = %v, %v; want %s", got, err, second)
			}
			if got, err := byEmail(t.Context(), c, "wanted@example.com"); err != nil || got.Id != second {
				t.Errorf("GetUserByEmail after the address moved = %v, %v; want %s", got, err, second)
			}
		}
		e.WebExec(t, `DELETE FROM {user} WHERE id = $1`, second)
		settle(t, e)
		_, err := byUsername(t.Context(), c, "wanted")
		wantCode(t, "GetUserByUsername of a removed user", err, twirp.NotFound, "USER_NOT_FOUND")
	})
}

func TestGetUserBySession(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		id := e.AddUser(t, "Player1")
		session, token := e.AddSession(t, id, time.Hour)
		byToken := &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}
		byID := &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_SessionId{SessionId: session}}

		t.Run("live", func(t *testing.T) {
			got, err := c.GetUserBySession(t.Context(), byToken)
			if err != nil {
				t.Fatalf("GetUserBySession(token): %v", err)
			}
			if d := cmp.Diff(getUser(t, c, id), got.User, protocmp.Transform()); d != "" {
				t.Errorf("user (-GetUser +GetUserBySession):\n%s", d)
			}
			if s := got.Session; s.Id != session || s.UserId != id || s.ExpiresInSeconds < 3500 || s.ExpiresInSeconds > 3600 || s.UserAgent != "test agent" {
				t.Errorf("session = %v", s)
			}
		})
		t.Run("by id", func(t *testing.T) {
			got, err := c.GetUserBySession(t.Context(), byID)
			if e.SerialIDs() {
				wantCode(t, "GetUserBySession(session_id)", err, twirp.InvalidArgument, "SESSION_ID_REFUSED")
			} else if err != nil || got.User.Id != id {
				t.Errorf("GetUserBySession(session_id) = %v, %v; want %s", got, err, id)
			}
		})
		t.Run("changes are seen at once", func(t *testing.T) {
			e.WebExec(t, `UPDATE {user} SET [name] = 'Renamed' WHERE id::text = $1`, id)
			if got, err := c.GetUserBySession(t.Context(), byToken); err != nil || got.User.Name != "Renamed" {
				t.Errorf("GetUserBySession after a rename = %v, %v", got, err)
			}
		})
		t.Run("expired", func(t *testing.T) {
			e.WebExec(t, `UPDATE {session} SET [expiresAt] = (now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' WHERE id::text = $1`, session)
			_, err := c.GetUserBySession(t.Context(), byToken)
			wantCode(t, "GetUserBySession of an expired session", err, twirp.NotFound, "SESSION_EXPIRED")
		})
		t.Run("revoked", func(t *testing.T) {
			e.WebExec(t, `DELETE FROM {session} WHERE id::text = $1`, session)
			_, err := c.GetUserBySession(t.Context(), byToken)
			wantCode(t, "GetUserBySession of a revoked session", err, twirp.NotFound, "SESSION_NOT_FOUND")
		})
		t.Run("redis never saw the token", func(t *testing.T) {
			for _, key := range e.Redis.Client.Keys(t.Context(), "*").Val() {
				dump := fmt.Sprint(key, e.Redis.Client.HGetAll(t.Context(), key).Val(), e.Redis.Client.Get(t.Context(), key).Val())
				if strings.Contains(dump, token) || strings.Contains(dump, "Player1@") {
					t.Errorf("redis has the token under %q", key)
				}
			}
		})
	})
}

func TestLookupsUseIndexes(t *testing.T) {
	t.Parallel()
	for _, variant := range testenv.Variants {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewDatabase(t, variant)
			for _, where := range []string{
				`FROM game.users AS u WHERE u.id = game.user_id('abc')`,
				`FROM game.users AS u WHERE u.id = game.user_id('12')`,
				`FROM game.users AS u WHERE u.email = 'a@example.com'`,
				`FROM game.users AS u WHERE u.login = 'a'`,
			} {
				if variant == "core" && strings.Contains(where, "login") {
					continue // in better-auth's core schema the login is the name, which has no index
				}
				tx, err := d.Owner.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback(context.Background())
				var plan string
				if _, err := tx.Exec(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
					t.Fatal(err)
				}
				if err := tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) SELECT u.name "+where).Scan(&plan); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(plan, "Index Cond") && !strings.Contains(plan, "One-Time Filter") {
					t.Errorf("the plan of SELECT ... %s uses no index:\n%s", where, plan)
				}
			}
		})
	}
}
