//go:build e2e

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// betterAuth is the real better-auth library, controlled through scripts/node/better-auth.mjs.
type betterAuth struct {
	in     io.Writer
	out    *bufio.Scanner
	tokens []string // that clients got
}

// startBetterAuth starts better-auth with a schema. The variables configure more: see better-auth.mjs.
func startBetterAuth(t *testing.T, databaseURL, schema string, variables ...string) *betterAuth {
	t.Helper()
	dir, err := filepath.Abs("../scripts/node")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "better-auth.mjs")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "BETTER_AUTH_SECRET="+testenv.Secret, "BA_SCHEMA="+schema, "TZ=UTC")
	cmd.Env = append(cmd.Env, variables...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node (.ci/run installs it): %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the driver ends at the end of its input
		if err := cmd.Wait(); err != nil {
			t.Errorf("better-auth.mjs: %v", err)
		}
	})
	b := &betterAuth{in: in, out: bufio.NewScanner(out)}
	if !b.out.Scan() || b.out.Text() != `{"ready":true}` {
		t.Fatalf("the first line of better-auth.mjs is %q, want that it is ready", b.out.Text())
	}
	return b
}

// answer has the results of every call of the driver; each call sets some of them.
type answer struct {
	Token   string
	Session struct{ ID, UserID string }
	User    struct{ ID, Name, Email, Username string }
	Encoded string
	Plain   string
}

type fields map[string]any

func (b *betterAuth) try(t *testing.T, call string, f fields) (answer, error) {
	t.Helper()
	request, err := json.Marshal([]any{call, f})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.in, "%s\n", request); err != nil {
		t.Fatal(err)
	}
	if !b.out.Scan() {
		t.Fatalf("better-auth.mjs ended at %s: %v", call, b.out.Err())
	}
	var reply struct {
		OK    bool
		Error string
		Value answer
	}
	if err := json.Unmarshal(b.out.Bytes(), &reply); err != nil {
		t.Fatalf("%s: %v in %s", call, err, b.out.Bytes())
	}
	if !reply.OK {
		return answer{}, fmt.Errorf("better-auth: %s: %s", call, reply.Error)
	}
	if reply.Value.Token != "" {
		b.tokens = append(b.tokens, reply.Value.Token)
	}
	return reply.Value, nil
}

func (b *betterAuth) do(t *testing.T, call string, f fields) answer {
	t.Helper()
	a, err := b.try(t, call, f)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// asker checks the service's answers after each step of better-auth.
type asker struct {
	*testing.T
	env      *testenv.Env
	users    databasev1.UserService
	sessions databasev1.SessionService
	roster   databasev1.CharacterDbService
}

func (a *asker) wantLive(when, token, userID string) *databasev1.GetUserBySessionResponse {
	a.Helper()
	got, err := a.users.GetUserBySession(a.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
	if err != nil || got.User.Id != userID {
		a.Fatalf("%s: GetUserBySession = %v, %v; want the user %s", when, got, err, userID)
	}
	s, err := a.sessions.GetSession(a.Context(), &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
	if err != nil || s.Session.UserId != userID || s.Session.Id != got.Session.Id {
		a.Errorf("%s: GetSession = %v, %v", when, s, err)
	}
	return got
}

func (a *asker) wantNoSession(when, token, reason string) {
	a.Helper()
	_, err := a.users.GetUserBySession(a.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
	a.wantReason(when+": GetUserBySession", err, reason)
	_, err = a.sessions.GetSession(a.Context(), &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
	a.wantReason(when+": GetSession", err, reason)
	_, err = a.sessions.RefreshSession(a.Context(), &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}})
	a.wantReason(when+": RefreshSession", err, reason)
}

func (a *asker) wantReason(call string, err error, reason string) {
	a.Helper()
	if e, ok := err.(twirp.Error); !ok || e.Meta("reason") != reason {
		a.Errorf("%s: %v, want %s", call, err, reason)
	}
}

// user calls GetUser after a sync of the change log, which production reaches within MaxStaleness.
func (a *asker) user(id string) (*databasev1.User, error) {
	a.Helper()
	if err := a.env.Redis.Client.Del(a.Context(), a.env.Watermark(a)).Err(); err != nil {
		a.Fatal(err)
	}
	got, err := a.users.GetUser(a.Context(), &databasev1.GetUserRequest{UserId: id})
	return got.GetUser(), err
}

func TestBetterAuth(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{"plugins", "core", "snake", "uuid", "serial"} {
		t.Run(schema, func(t *testing.T) {
			t.Parallel()
			ask, auth := startStory(t, schema, nil)
			story(ask, auth, schema != "core")
		})
	}
}

// startStory creates better-auth's tables in an empty database by better-auth itself, and then migrates by the command. The
// variables are better-auth's (see [startBetterAuth]); the flags are those of the migration.
func startStory(t *testing.T, schema string, variables []string, flags ...string) (*asker, *betterAuth) {
	d := testenv.NewEmptyDatabase(t, "")
	d.OwnerExec(t, "GRANT CREATE ON SCHEMA public TO web_application")
	d.Variant = schema
	auth := startBetterAuth(t, testenv.Postgres(t).UserURL("web_application", "", d.Name), schema, variables...)
	auth.do(t, "migrate", nil)
	runToEnd(t, 0, owner(t, d), append([]string{"migrate"}, flags...)...)
	e := testenv.NewOn(t, d, testenv.RedisKinds()[0])
	url := testenv.Serve(t, services.New(e.Program).Twirp)
	return &asker{
		T: t, env: e, users: databasev1.NewUserServiceProtobufClient(url, http.DefaultClient),
		sessions: databasev1.NewSessionServiceJSONClient(url, http.DefaultClient),
		roster:   databasev1.NewCharacterDbServiceProtobufClient(url, http.DefaultClient),
	}, auth
}

func story(a *asker, auth *betterAuth, plugins bool) {
	t := a.T
	up := auth.do(t, "signUp", fields{"email": "Player@Example.com", "password": "correct horse", "name": "Player", "username": "PlayerOne"})
	id := up.User.ID
	got := a.wantLive("signed up", up.Token, id)
	if got.User.Email != "player@example.com" || got.User.Name != "Player" || (plugins && (got.User.Username != "playerone" || got.User.Role != "user")) {
		t.Errorf("signed up: %v", got.User)
	}
	signed := auth.do(t, "signedToken", fields{"token": up.Token})
	a.wantLive("cookie", signed.Plain, id)
	a.wantLive("encoded cookie", signed.Encoded, id)
	a.wantNoSession("forged cookie", up.Token+"."+strings.Repeat("A", 43)+"=", "SESSION_NOT_FOUND")
	if u, err := a.users.GetUserByEmail(t.Context(), &databasev1.GetUserByEmailRequest{Email: "PLAYER@example.com"}); err != nil || u.User.Id != id {
		t.Errorf("by e-mail: %v, %v", u, err)
	}
	login := map[bool]string{true: "PLAYERONE", false: "player"}[plugins]
	if u, err := a.users.GetUserByUsername(t.Context(), &databasev1.GetUserByUsernameRequest{Username: login}); err != nil || u.User.Id != id {
		t.Errorf("by username %q: %v, %v", login, u, err)
	}

	in := auth.do(t, "signIn", fields{"email": "player@example.com", "password": "correct horse"})
	a.wantLive("signed in", in.Token, id)
	auth.do(t, "updateUser", fields{"token": in.Token, "name": "Renamed"})
	if got := a.wantLive("renamed", in.Token, id); got.User.Name != "Renamed" {
		t.Errorf("renamed: GetUserBySession returns the name %q", got.User.Name)
	}
	if u, err := a.user(id); err != nil || u.Name != "Renamed" {
		t.Errorf("renamed: GetUser = %v, %v", u, err)
	}
	character, err := a.roster.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: id, Name: "Hero"})
	if err != nil {
		t.Fatalf("CreateCharacter: %v", err)
	}

	auth.do(t, "signOut", fields{"token": in.Token})
	a.wantNoSession("signed out", in.Token, "SESSION_NOT_FOUND")
	a.wantLive("the other session", up.Token, id)
	auth.do(t, "age", fields{"token": up.Token, "seconds": 8 * 24 * 3600})
	a.wantNoSession("expired", up.Token, "SESSION_EXPIRED")
	in = auth.do(t, "signIn", fields{"email": "player@example.com", "password": "correct horse"})
	by := auth.do(t, "signIn", fields{"email": "player@example.com", "password": "correct horse"})
	auth.do(t, "revokeSession", fields{"token": in.Token, "by": by.Token})
	a.wantNoSession("revoked", in.Token, "SESSION_NOT_FOUND")
	a.refreshed(auth, by.Token)
	if plugins {
		a.administrator(auth, id, by.Token)
		auth.do(t, "removeUser", fields{"userId": id})
		if u, err := a.user(id); err == nil {
			t.Errorf("removed: GetUser = %v", u)
		}
		_, err = a.roster.GetCharacter(t.Context(), &databasev1.GetCharacterRequest{CharacterId: character.Character.Id})
		a.wantReason("removed: GetCharacter", err, "CHARACTER_NOT_FOUND")
	}
}

// refreshed extends a session by the service, and checks that better-auth accepts the session afterwards.
func (a *asker) refreshed(auth *betterAuth, token string) {
	a.Helper()
	auth.do(a.T, "age", fields{"token": token, "seconds": 7*24*3600 - 600}) // ten minutes are left
	got, err := a.sessions.RefreshSession(a.Context(), &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}})
	if err != nil || !got.Extended || got.Session.ExpiresInSeconds < 3500 {
		a.Errorf("RefreshSession = %v, %v; want extended to 1 h", got, err)
	}
	auth.do(a.T, "age", fields{"token": token, "seconds": 1200}) // without the refresh the session would have expired
	if s := auth.do(a.T, "getSession", fields{"token": token}); s.Session.ID == "" {
		a.Error("better-auth does not find the extended session")
	}
}

// administrator checks bans, roles and impersonation.
func (a *asker) administrator(auth *betterAuth, id, token string) {
	t := a.T
	auth.do(t, "setRole", fields{"userId": id, "role": []string{"user", "admin"}})
	if got := a.wantLive("role", token, id); got.User.Role != "user,admin" {
		t.Errorf("role = %q", got.User.Role)
	}
	auth.do(t, "setRole", fields{"userId": id, "role": "user"})
	acting := auth.do(t, "impersonate", fields{"userId": id})
	if got := a.wantLive("impersonated", acting.Token, id); !got.Session.Impersonated {
		t.Error("impersonated: Session.Impersonated is false")
	}
	_, err := a.sessions.RefreshSession(a.Context(), &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: acting.Token}})
	a.wantReason("refresh of an impersonation", err, "SESSION_IMPERSONATED")

	auth.do(t, "ban", fields{"userId": id, "reason": "cheating"})
	a.wantNoSession("banned", token, "SESSION_NOT_FOUND") // better-auth deletes the sessions
	if u, err := a.user(id); err != nil || !u.Banned || u.BanReason != "cheating" {
		t.Errorf("banned: GetUser = %v, %v", u, err)
	}
	_, err = a.roster.CreateCharacter(a.Context(), &databasev1.CreateCharacterRequest{UserId: id, Name: "Second"})
	a.wantReason("banned: CreateCharacter", err, "CREATION_BLOCKED")
	auth.do(t, "unban", fields{"userId": id})
	if u, err := a.user(id); err != nil || u.Banned {
		t.Errorf("unbanned: GetUser = %v, %v", u, err)
	}
	auth.do(t, "ban", fields{"userId": id, "seconds": 3600})
	if u, err := a.user(id); err != nil || !u.Banned || u.BanExpiresAt == nil {
		t.Errorf("banned for an hour: GetUser = %v, %v", u, err)
	}
	auth.do(t, "unban", fields{"userId": id})
	in := auth.do(t, "signIn", fields{"email": "player@example.com", "password": "correct horse"})
	a.wantLive("signed in again", in.Token, id)
	auth.do(t, "revokeSessions", fields{"userId": id})
	a.wantNoSession("all revoked", in.Token, "SESSION_NOT_FOUND")
}
