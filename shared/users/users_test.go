package users_test

import (
	"net/http"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/users"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// client is a client of a UserService in front of p.
func client(t testing.TB, p *boot.Program) databasev1.UserService {
	t.Helper()
	return databasev1.NewUserServiceProtobufClient(serve(t, p), http.DefaultClient)
}

func serve(t testing.TB, p *boot.Program) string {
	t.Helper()
	return testenv.Serve(t, func(o twirp.ServerOption) []testenv.Handler {
		s := users.NewService(users.NewRepository(p.DB, p.Cache), p.Config.Verifier, p.Config.RefuseSessionID)
		return []testenv.Handler{databasev1.NewUserServiceServer(s, o)}
	})
}

func TestGetUser(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		id := e.AddUser(t, "Player1")
		for range 3 {
			got, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
			if err != nil {
				t.Fatal(err)
			}
			if got.User.Id != id || got.User.Name != "Player1" {
				t.Errorf("GetUser(%q) = %v", id, got)
			}
		}
		t.Logf("%+v", e.Program.Cache.Stats())
	})
}
