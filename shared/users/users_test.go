package users_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/users"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// client returns a client of a UserService on p.
func client(t testing.TB, p *app.Program) databasev1.UserService {
	t.Helper()
	url := testenv.Serve(t, func(o twirp.ServerOption) []databasev1.TwirpServer {
		s := users.NewService(users.NewRepository(p.DB, p.Cache), p.Config.Sessions.Verifier, p.Config.Sessions.RefuseSessionID)
		return []databasev1.TwirpServer{databasev1.NewUserServiceServer(s, o)}
	})
	return databasev1.NewUserServiceProtobufClient(url, http.DefaultClient)
}

func getUser(t testing.TB, c databasev1.UserService, id string) *databasev1.User {
	t.Helper()
	got, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
	if err != nil {
		t.Fatalf("GetUser(%q): %v", id, err)
	}
	return got.User
}

func wantCode(t testing.TB, call string, err error, code twirp.ErrorCode, reason string) {
	t.Helper()
	e, ok := err.(twirp.Error)
	if !ok || e.Code() != code || e.Meta("reason") != reason {
		t.Errorf("%s: got error %v (meta %v), want %s %s", call, err, meta(err), code, reason)
	}
}

func meta(err error) map[string]string {
	if e, ok := err.(twirp.Error); ok {
		return e.MetaMap()
	}
	return nil
}

// settle makes the next read sync the cache: it deletes the watermark, as an eviction would.
func settle(t testing.TB, e *testenv.Env) {
	t.Helper()
	if err := e.Redis.Client.Del(t.Context(), e.Watermark(t)).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestGetUser(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program)
		id := e.AddUser(t, "Player1")
		cold := getUser(t, c, id)

		t.Run("every field", func(t *testing.T) {
			want := &databasev1.User{Id: id, Name: "Player1", Email: "player1@example.com", EmailVerified: true}
			if e.Plugins() {
				want.Username, want.DisplayUsername, want.Role = "player1", "Player1", "user"
			}
			times := protocmp.IgnoreFields(&databasev1.User{}, "created_at", "updated_at")
			if d := cmp.Diff(want, cold, protocmp.Transform(), times); d != "" {
				t.Errorf("GetUser(%q) (-want +got):\n%s", id, d)
			}
			if age := time.Since(cold.CreatedAt.AsTime()); age < -time.Minute || age > time.Hour {
				t.Errorf("GetUser(%q).created_at = %v, want about now", id, cold.CreatedAt.AsTime())
			}
		})
		t.Run("cached is equal", func(t *testing.T) {
			before := e.Program.Cache.Stats().Hits
			if d := cmp.Diff(cold, getUser(t, c, id), protocmp.Transform()); d != "" {
				t.Errorf("cached GetUser(%q) (-cold +cached):\n%s", id, d)
			}
			if hits := e.Program.Cache.Stats().Hits - before; hits != 1 {
				t.Errorf("second GetUser(%q): %d hits, want 1", id, hits)
			}
		})
		t.Run("key, TTL and no secrets", func(t *testing.T) {
			ttl := e.Redis.Client.TTL(t.Context(), "user:"+id).Val()
			if ttl <= 0 || ttl > 300*time.Second {
				t.Errorf("TTL of user:%s = %v, want within (0, 300 s]", id, ttl)
			}
		})
		t.Run("not found", func(t *testing.T) {
			for _, unknown := range []string{"nobody", "0", "00000000-0000-4000-8000-000000000000", "99999999999999999999", strings.ToUpper(id) + "x", " " + id, id + " "} {
				_, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: unknown})
				wantCode(t, fmt.Sprintf("GetUser(%q)", unknown), err, twirp.NotFound, "USER_NOT_FOUND")
			}
		})
		t.Run("renamed by the web application", func(t *testing.T) {
			e.WebExec(t, `UPDATE {user} SET [name] = 'Renamed' WHERE id::text = $1`, id)
			settle(t, e)
			if got := getUser(t, c, id).Name; got != "Renamed" {
				t.Errorf("GetUser(%q).name after a rename = %q, want Renamed", id, got)
			}
		})
		t.Run("removed by the web application", func(t *testing.T) {
			e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, id)
			settle(t, e)
			_, err := c.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
			wantCode(t, "GetUser of a removed user", err, twirp.NotFound, "USER_NOT_FOUND")
		})
	})
}

func TestGetUserOtherFormOfID(t *testing.T) {
	t.Parallel()
	// The change log has ids only in the form that the database prints. Another form would be a key that no change
	// invalidates.
	for variant, other := range map[string]func(string) string{
		"uuid":   strings.ToUpper,
		"serial": func(id string) string { return "0" + id },
	} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, variant, "miniredis")
			id := other(e.AddUser(t, "Player1"))
			_, err := client(t, e.Program).GetUser(t.Context(), &databasev1.GetUserRequest{UserId: id})
			wantCode(t, fmt.Sprintf("GetUser(%q)", id), err, twirp.NotFound, "USER_NOT_FOUND")
		})
	}
}

func TestBan(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	c := client(t, e.Program)
	for _, test := range []struct {
		name, set string
		want      bool
	}{
		{"forever", `[banned] = true`, true},
		{"until later", `[banned] = true, [banExpires] = now() + interval '1 day'`, true},
		{"until before", `[banned] = true, [banExpires] = now() - interval '1 day'`, false},
		{"false", `[banned] = false`, false},
		{"unknown", `[banned] = NULL`, false},
		{"expiry of a lifted ban", `[banned] = false, [banExpires] = now() + interval '1 day'`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			id := e.AddUser(t, "ban_"+strings.ReplaceAll(test.name, " ", "_"))
			e.WebExec(t, `UPDATE {user} SET [banReason] = 'cheating', `+test.set+` WHERE id = $1`, id)
			_, token := e.AddSession(t, id, time.Hour)
			for i := range 2 { // from the database, then cached
				if u := getUser(t, c, id); u.Banned != test.want || u.BanReason != "cheating" {
					t.Errorf("GetUser, read %d: banned %v for %q, want %v", i, u.Banned, u.BanReason, test.want)
				}
			}
			got, err := c.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{
				Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
			if err != nil || got.User.Banned != test.want {
				t.Errorf("GetUserBySession: banned %v, error %v; want %v", got.GetUser().GetBanned(), err, test.want)
			}
		})
	}
	t.Run("ends while cached", func(t *testing.T) {
		t.Parallel()
		id := e.AddUser(t, "ban_ends")
		e.WebExec(t, `UPDATE {user} SET [banned] = true, [banExpires] = clock_timestamp() + interval '700 ms' WHERE id = $1`, id)
		if !getUser(t, c, id).Banned {
			t.Error("GetUser before the end of the ban: not banned")
		}
		for over := false; !over; {
			sql := e.Expand(`SELECT [banExpires] < clock_timestamp() FROM {user} WHERE id = $1`)
			if err := e.Owner.QueryRow(t.Context(), sql, id).Scan(&over); err != nil {
				t.Fatal(err)
			}
		}
		// The cached clock is never ahead of the database's, and it moves: the ban ends late by at most MaxStaleness.
		for getUser(t, c, id).Banned {
			continue // until the cached clock is past the end of the ban
		}

	})
}
