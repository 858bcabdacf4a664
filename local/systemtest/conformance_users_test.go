package systemtest_test

import (
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

var (
	noSuchUser = fault{twirp.NotFound, "USER_NOT_FOUND"}
	tooLong    = strings.Repeat("x", 513)
)

// wantAnswer fails the scenario if got differs from want. The options in but exclude fields.
func wantAnswer[M any](c *conform, what string, got, want M, but ...cmp.Option) {
	c.Helper()
	if d := cmp.Diff(want, got, append(but, protocmp.Transform())...); d != "" {
		c.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// player creates a user and returns it as the service does.
func (c *conform) player() *databasev1.User {
	c.Helper()
	name := newName()
	id := c.AddUser(c, name)
	u := ok(c, c.users.GetUser, &databasev1.GetUserRequest{UserId: id}).User
	want := &databasev1.User{
		Id: id, Name: name, Username: strings.ToLower(name), DisplayUsername: name, Email: strings.ToLower(name) + "@example.com",
		EmailVerified: true, Role: "user", CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	if !c.Plugins() {
		want.Username, want.DisplayUsername, want.Role = "", "", ""
	}
	wantAnswer(c, "GetUser of a new user", u, want)
	return u
}

func getUserRequest(id string) *databasev1.GetUserRequest {
	return &databasev1.GetUserRequest{UserId: id}
}

func byUsername(name string) *databasev1.GetUserByUsernameRequest {
	return &databasev1.GetUserByUsernameRequest{Username: name}
}

func byEmail(email string) *databasev1.GetUserByEmailRequest {
	return &databasev1.GetUserByEmailRequest{Email: email}
}

func userScenarios() []scenario {
	return []scenario{
		{"GetUser", "again", func(c *conform) {
			u := c.player()
			wantAnswer(c, "GetUser again", ok(c, c.users.GetUser, getUserRequest(u.Id)).User, u)
		}},
		{"GetUser", "banned, and no longer", func(c *conform) { banAndUnban(c, c.player()) }},
		{"GetUser", "ARGUMENT", func(c *conform) {
			badArguments(c, c.users.GetUser, map[string]*databasev1.GetUserRequest{
				"user_id": {}, "user_id is too long": getUserRequest(tooLong), "user_id has a NUL": getUserRequest("a\x00"),
			})
		}},
		{"GetUser", "USER_NOT_FOUND", func(c *conform) {
			refuses(c, c.users.GetUser, getUserRequest("unknown"), noSuchUser)
			u := c.player()
			c.web(`DELETE FROM {user} WHERE id = $1`, u.Id)
			refuses(c, c.users.GetUser, getUserRequest(u.Id), noSuchUser)
		}},
	}
}

func usernameScenarios() []scenario {
	return []scenario{
		{"GetUserByUsername", "in any case", func(c *conform) {
			u := c.player()
			for _, name := range []string{u.Username, strings.ToUpper(u.Username), u.Username} {
				wantAnswer(c, "GetUserByUsername", ok(c, c.users.GetUserByUsername, byUsername(name)).User, u)
			}
		}},
		{"GetUserByUsername", "without the plugin", func(c *conform) {
			c = c.nameless.of(c)
			u := c.player()
			wantAnswer(c, "GetUserByUsername", ok(c, c.users.GetUserByUsername, byUsername(u.Name)).User, u)
		}},
		{"GetUserByUsername", "ARGUMENT", func(c *conform) {
			badArguments(c, c.users.GetUserByUsername, map[string]*databasev1.GetUserByUsernameRequest{
				"username": {}, "username is too long": byUsername(tooLong), "username has a NUL": byUsername("a\x00"),
			})
		}},
		{"GetUserByUsername", "USER_NOT_FOUND", func(c *conform) {
			u := c.player()
			ok(c, c.users.GetUserByUsername, byUsername(u.Username))
			c.web(`UPDATE {user} SET [username] = $2 WHERE id = $1`, u.Id, u.Username+"b")
			refuses(c, c.users.GetUserByUsername, byUsername(u.Username), noSuchUser)
			ok(c, c.users.GetUserByUsername, byUsername(u.Username+"B"))
		}},
		{"GetUserByUsername", "AMBIGUOUS_USERNAME", func(c *conform) {
			c = c.nameless.of(c)
			u := c.player()
			ok(c, c.users.GetUserByUsername, byUsername(u.Name))
			c.web(`UPDATE {user} SET [name] = $2 WHERE id = $1`, c.AddUser(c, newName()), u.Name)
			refuses(c, c.users.GetUserByUsername, byUsername(u.Name), fault{twirp.FailedPrecondition, "AMBIGUOUS_USERNAME"})
		}},
	}
}

func emailScenarios() []scenario {
	return []scenario{
		{"GetUserByEmail", "in any case", func(c *conform) {
			u := c.player()
			for _, email := range []string{u.Email, strings.ToUpper(u.Email), u.Email} {
				wantAnswer(c, "GetUserByEmail", ok(c, c.users.GetUserByEmail, byEmail(email)).User, u)
			}
		}},
		{"GetUserByEmail", "ARGUMENT", func(c *conform) {
			badArguments(c, c.users.GetUserByEmail, map[string]*databasev1.GetUserByEmailRequest{
				"email": {}, "email is too long": byEmail(tooLong), "email has a NUL": byEmail("a\x00"),
			})
		}},
		{"GetUserByEmail", "USER_NOT_FOUND", func(c *conform) {
			u := c.player()
			ok(c, c.users.GetUserByEmail, byEmail(u.Email))
			c.web(`UPDATE {user} SET [email] = $2 WHERE id = $1`, u.Id, "b"+u.Email)
			refuses(c, c.users.GetUserByEmail, byEmail(u.Email), noSuchUser)
			ok(c, c.users.GetUserByEmail, byEmail("b"+u.Email))
		}},
	}
}

// of returns c with the test of here.
func (c *conform) of(here *conform) *conform {
	there := *c
	there.TB = here.TB
	return &there
}

// banAndUnban checks a ban in each way to read a user.
func banAndUnban(c *conform, u *databasev1.User) {
	c.Helper()
	_, token := c.AddSession(c, u.Id, time.Hour)
	for _, ban := range []struct {
		set    string
		banned bool
	}{
		{`[banned] = true, [banReason] = 'cheating'`, true},
		{`[banExpires] = now() + interval '1 day'`, true},
		{`[banExpires] = now() - interval '1 s'`, false},
	} {
		c.web(`UPDATE {user} SET `+ban.set+` WHERE id = $1`, u.Id)
		for what, got := range map[string]*databasev1.User{
			"GetUser":           ok(c, c.users.GetUser, getUserRequest(u.Id)).User,
			"GetUserByUsername": ok(c, c.users.GetUserByUsername, byUsername(u.Username)).User,
			"GetUserByEmail":    ok(c, c.users.GetUserByEmail, byEmail(u.Email)).User,
			"GetUserBySession":  ok(c, c.users.GetUserBySession, playerByToken(token)).User,
		} {
			if got.Banned != ban.banned || got.BanReason != "cheating" {
				c.Errorf("%s after %s: banned %t for %q", what, ban.set, got.Banned, got.BanReason)
			}
		}
	}
}
