package sessions_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// storeHashes makes the database one whose web application stores hashes, as of now.
func storeHashes(t *testing.T, d *testenv.Database) {
	t.Helper()
	d.OwnerExec(t, `UPDATE session SET token = encode(sha256(token::bytea), 'hex')`)
	setSessionToken(t, d, "sha256")
}

func setSessionToken(t *testing.T, d *testenv.Database, how string) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), d.Owner.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := migrations.Apply(t.Context(), conn, migrations.Options{Settings: migrations.Settings{SessionToken: how}}); err != nil {
		t.Fatal(err)
	}
}

// wire records what the program sends to PostgreSQL.
type wire struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

func tap(e *testenv.Env) *wire {
	w := &wire{}
	e.PGProxy.OnSend(func(b []byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent.Write(b)
	})
	return w
}

func (w *wire) has(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.sent.Bytes(), []byte(s))
}

// tokenCalls makes every call that takes a token.
func tokenCalls(t *testing.T, p *app.Program) map[string]func(token string) (sessionID string, err error) {
	t.Helper()
	at := testenv.Serve(t, services.New(p).Twirp)
	s := databasev1.NewSessionServiceProtobufClient(at, http.DefaultClient)
	u := databasev1.NewUserServiceProtobufClient(at, http.DefaultClient)
	return map[string]func(string) (string, error){
		"GetSession": func(token string) (string, error) {
			r, err := s.GetSession(t.Context(), byToken(token))
			return r.GetSession().GetId(), err
		},
		"RefreshSession": func(token string) (string, error) {
			r, err := s.RefreshSession(t.Context(), refreshToken(token))
			return r.GetSession().GetId(), err
		},
		"GetUserBySession": func(token string) (string, error) {
			r, err := u.GetUserBySession(t.Context(), &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}})
			return r.GetSession().GetId(), err
		},
	}
}

// TestHashedTokens reads and extends sessions whose tokens the web application stores as hashes. PostgreSQL never sees a token.
func TestHashedTokens(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"GetSession", "RefreshSession", "GetUserBySession"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", "miniredis")
			id, token := e.AddSession(t, e.AddUser(t, "Player"), 10*time.Minute)
			storeHashes(t, e.Database)
			sum := sha256.Sum256([]byte(token))
			hash := hex.EncodeToString(sum[:])
			w := tap(e)
			do := tokenCalls(t, e.Program)[call] // the first call of the process
			for form, sent := range map[string]string{"bare": token, "signed": sign(token, testenv.Secret), "encoded": url.QueryEscape(sign(token, testenv.Secret))} {
				if got, err := do(sent); err != nil || got != id {
					t.Errorf("%s of a token (%s) = %q, %v; want the session %s", call, form, got, err, id)
				}
			}
			if !w.has(hash) || w.has(token) {
				t.Errorf("sent to PostgreSQL: the hash: %t, the token: %t; want only the hash", w.has(hash), w.has(token))
			}
			_, err := do(hash) // who has read the table cannot log in
			wantReason(t, call+" of a hash", err, "SESSION_NOT_FOUND")
		})
	}
}

// TestTokensStoredOtherwise changes the setting under a running program. What it has learned before opens nothing, and
// it learns again at once.
func TestTokensStoredOtherwise(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	id, token := e.AddSession(t, e.AddUser(t, "Player"), 10*time.Minute)
	w := tap(e)
	calls := tokenCalls(t, e.Program)
	all := func(when, token string) {
		t.Helper()
		for name, call := range calls {
			if got, err := call(token); err != nil || got != id {
				t.Errorf("%s: %s = %q, %v; want the session %s", when, name, got, err, id)
			}
		}
	}
	all("plain", token)
	if !w.has(token) {
		t.Error("the token was not seen on its way to PostgreSQL: this test sees nothing")
	}
	storeHashes(t, e.Database)
	all("stored as hashes now", token)
	e.OwnerExec(t, `UPDATE session SET token = 'another'`)
	setSessionToken(t, e.Database, "plain")
	all("stored plainly again", "another")
	for name, call := range calls {
		_, err := call(token)
		wantReason(t, name+" of a token that is gone", err, "SESSION_NOT_FOUND")
	}
}

// TestUnknownSetting checks that without the setting no token is sent.
func TestUnknownSetting(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	_, token := e.AddSession(t, e.AddUser(t, "Player"), 10*time.Minute)
	e.OwnerExec(t, `REVOKE SELECT ON game.adapter FROM `+migrations.DefaultRole)
	w := tap(e)
	for name, call := range tokenCalls(t, e.Program) {
		_, err := call(token)
		if e, ok := err.(twirp.Error); !ok || e.Meta("reason") != "DATABASE_MISCONFIGURED" {
			t.Errorf("%s = %v, want DATABASE_MISCONFIGURED", name, err)
		}
	}
	if w.has(token) {
		t.Error("the token was sent to PostgreSQL")
	}
}

func wantReason(t *testing.T, call string, err error, reason string) {
	t.Helper()
	if e, ok := err.(twirp.Error); !ok || e.Meta("reason") != reason {
		t.Errorf("%s = %v, want %s", call, err, reason)
	}
}
