//go:build e2e

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// TestBetterAuthUsernames looks users up by names in several cases. The service must find whom better-auth signs in.
func TestBetterAuthUsernames(t *testing.T) {
	t.Parallel()
	for how, all := range map[string]bool{"lower": true, "upper": true, "none": false} { // all: of each case
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ask, auth := startStory(t, "plugins", []string{"BA_USERNAMES=" + how}, "-username-normalization", how)
			ids := map[string]string{"PlayerOne": ""}
			if !all {
				ids["playerone"] = "" // is another user then
			}
			for name := range ids {
				ids[name] = auth.do(t, "signUp", fields{"email": fmt.Sprintf("%x@example.com", name), "password": "correct horse", "name": "Player", "username": name}).User.ID
			}
			for _, login := range []string{"PlayerOne", "playerone", "PLAYERONE", "pLAYERoNE", "stranger"} {
				want, wantErr := auth.try(t, "signInUsername", fields{"username": login, "password": "correct horse"})
				if found := wantErr == nil; found != (ids[login] != "" || all && login != "stranger") {
					t.Errorf("better-auth signs in %q: %t (%v)", login, found, wantErr)
				}
				for range 2 { // from the database, then from the cache
					got, err := ask.users.GetUserByUsername(t.Context(), &databasev1.GetUserByUsernameRequest{Username: login})
					if wantErr != nil {
						ask.wantReason("GetUserByUsername("+login+"), whom better-auth does not know", err, "USER_NOT_FOUND")
						continue
					}
					if err != nil || got.User.Id != want.User.ID || got.User.Username != want.User.Username {
						t.Errorf("GetUserByUsername(%q) = %v, %v; want the user whom better-auth signs in: %v", login, got, err, want.User)
					}
				}
			}
		})
	}
}

// TestBetterAuthHashedTokens runs the story of a web application that stores hashes of its session tokens. No token reaches
// PostgreSQL: not from the service, and not its tables.
func TestBetterAuthHashedTokens(t *testing.T) {
	t.Parallel()
	ask, auth := startStory(t, "plugins", []string{"BA_SESSION_TOKENS=sha256"}, "-session-token", "sha256")
	var mu sync.Mutex
	var sent bytes.Buffer
	ask.env.PGProxy.OnSend(func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		sent.Write(b)
	})
	has := func(text string) bool {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Contains(sent.Bytes(), []byte(text))
	}
	hash := func(token string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(token))) }
	in := auth.do(t, "signUp", fields{"email": "first@example.com", "password": "correct horse", "name": "First", "username": "First"})
	ask.wantLive("signed up", in.Token, in.User.ID)
	ask.wantNoSession("the hash, by who has read the table", hash(in.Token), "SESSION_NOT_FOUND")
	var stored string
	if err := ask.env.Owner.QueryRow(t.Context(), "SELECT token FROM session").Scan(&stored); err != nil || stored != hash(in.Token) {
		t.Errorf("better-auth stores the token %q, %v; want the hash of the client's", stored, err)
	}
	story(ask, auth, true)
	if len(auth.tokens) < 6 {
		t.Errorf("clients got %d tokens, want those of the story", len(auth.tokens))
	}
	for _, token := range auth.tokens {
		var seen int
		if err := ask.env.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE strpos(query, $1) > 0`, token).Scan(&seen); err != nil || seen > 0 {
			t.Errorf("pg_stat_activity shows a token in %d statements, %v", seen, err)
		}
		if has(token) {
			t.Error("the service has sent a token to PostgreSQL")
		}
	}
	if !has(hash(in.Token)) {
		t.Error("the service has not sent the hash of a token to PostgreSQL, so this test sees nothing")
	}
}
