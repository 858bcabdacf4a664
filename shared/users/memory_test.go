package users_test

import (
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/users"
)

// TestUsersInTheProcess looks a user up in each way until the process serves it, and then after changes of the web application.
func TestUsersInTheProcess(t *testing.T) {
	t.Parallel()
	for _, kind := range testenv.RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", kind, func(o *app.Options) { o.Memory = memory.New(1 << 20) })
			c, id := client(t, e.Program), e.AddUser(t, "Player1")
			byName := func(name string) func() (*databasev1.User, error) {
				return func() (*databasev1.User, error) {
					got, err := c.GetUserByUsername(t.Context(), &databasev1.GetUserByUsernameRequest{Username: name})
					return got.GetUser(), err
				}
			}
			lookups := map[string]func() (*databasev1.User, error){
				"GetUser": func() (*databasev1.User, error) {
					got, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
					return got.GetUser(), err
				},
				"GetUserByUsername": byName("Player1"),
				"GetUserByEmail": func() (*databasev1.User, error) {
					got, err := c.GetUserByEmail(t.Context(), &databasev1.GetUserByEmailRequest{Email: "player1@example.com"})
					return got.GetUser(), err
				},
			}
			for name, lookup := range lookups {
				for inProcess := false; !inProcess; {
					before := e.Program.Cache.Stats().MemoryHits
					u, err := lookup()
					if err != nil || u.Id != id || u.Banned {
						t.Fatalf("%s = %v, %v", name, u, err)
					}
					inProcess = e.Program.Cache.Stats().MemoryHits > before
				}
			}
			e.WebExec(t, `UPDATE {user} SET [banned] = true, [banExpires] = now() + interval '1 hour' WHERE id = $1`, id)
			for name, lookup := range lookups {
				for u := (&databasev1.User{}); !u.Banned; {
					var err error
					if u, err = lookup(); err != nil {
						t.Fatalf("%s after the ban: %v", name, err)
					}
				}
			}
			e.WebExec(t, `UPDATE {user} SET [username] = 'player2' WHERE id = $1`, id)
			for err := error(nil); err == nil; {
				_, err = byName("Player1")()
				if err != nil {
					wantCode(t, "the old username", err, twirp.NotFound, "USER_NOT_FOUND")
				}
			}
			if u, err := byName("player2")(); err != nil || u.Id != id {
				t.Errorf("the new username = %v, %v, want the user", u, err)
			}
			e.WebExec(t, `DELETE FROM {user} WHERE id = $1`, id)
			for err := error(nil); err == nil; {
				_, err = lookups["GetUser"]()
				if err != nil {
					wantCode(t, "the deleted user", err, twirp.NotFound, "USER_NOT_FOUND")
				}
			}
		})
	}
}

// TestEndedBanChangesACopy: requests of other times have the same user.
func TestEndedBanChangesACopy(t *testing.T) {
	t.Parallel()
	end := time.Now()
	u := &databasev1.User{Id: "u1", Banned: true, BanExpiresAt: timestamppb.New(end)}
	for at, want := range map[time.Time]bool{end.Add(time.Second): false, end: false, end.Add(-time.Second): true} {
		if got := users.WeighBan(u, at); got.Banned != want || got.Id != "u1" {
			t.Errorf("%v from the end of the ban: banned = %t, want %t", at.Sub(end), got.Banned, want)
		}
	}
	if !u.Banned {
		t.Error("the user of the other requests was changed")
	}
}
