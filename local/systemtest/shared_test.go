package systemtest_test

import (
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Production and staging use one Redis. A user and a character with the same ids exist in both. This is the schedule of the
// model's bug names-without-the-database.
func TestTwoDatabasesOnOneRedis(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, production *env) {
		e := &testenv.Env{
			Database: testenv.NewDatabase(t, testenv.Variants[0]), Redis: production.Redis,
			PGProxy: production.PGProxy, RDProxy: production.RDProxy,
		}
		e.Program = e.Open(t)
		staging := &env{e, serve(t, e.Program)}

		id := production.AddUser(t, "production")
		staging.WebExec(t, `INSERT INTO {user} ([id], [name], [email], [emailVerified], [createdAt], [updatedAt])
			VALUES ($1, 'staging', 'staging@example.invalid', true, now(), now())`, id)
		var character int64
		for money, x := range []*env{production, staging} {
			made, err := patiently(t, x.characters.CreateCharacter,
				&databasev1.CreateCharacterRequest{UserId: id, Name: newName(), Money: int64(money)})
			if err != nil {
				t.Fatal(err)
			}
			if character = made.Character.Id; character != 1 {
				t.Fatalf("the first character of a database has the id %d, want 1", character)
			}
		}
		hits := map[*env]uint64{}
		eventually(t, "hits of both", func() bool {
			for money, x := range []*env{production, staging} {
				user, err := patiently(t, x.users.GetUser, &databasev1.GetUserRequest{UserId: id})
				if want := []string{"production", "staging"}[money]; err != nil || user.User.Name != want {
					t.Fatalf("GetUser of %s = %q, %v", want, user.GetUser().GetName(), err)
				}
				c, err := patiently(t, x.characters.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: character})
				if err != nil || c.Character.Money != int64(money) {
					t.Fatalf("GetCharacter with money %d = %d, %v", money, c.GetCharacter().GetMoney(), err)
				}
				hits[x] = x.Program.Cache.Stats().Hits
			}
			return min(hits[production], hits[staging]) >= 10
		})
	})
}
