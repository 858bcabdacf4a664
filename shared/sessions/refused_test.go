package sessions_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// testRefreshBanned is the part of TestRefreshSession that needs the columns of the admin plugin.
func testRefreshBanned(t *testing.T, e *testenv.Env, c databasev1.SessionService) {
	if !e.Plugins() {
		return
	}
	for what, test := range map[string]struct {
		set     string
		allowed bool
	}{
		"forever":        {set: "banned = true, [banExpires] = NULL"},
		"until tomorrow": {set: "banned = true, [banExpires] = " + at(e, "1 day")},
		"until just now": {"banned = true, [banExpires] = " + at(e, "0 s"), true},
		"until the past": {"banned = true, [banExpires] = " + at(e, "-1 day"), true},
		"no longer":      {"banned = false, [banExpires] = " + at(e, "1 day"), true},
		"never":          {"banned = NULL, [banExpires] = NULL", true},
	} {
		user, id, token := addSession(t, e, "10 minutes")
		e.WebExec(t, "UPDATE {user} SET "+test.set+" WHERE id::text = $1", user)
		before := readRow(t, e, id)
		got, err := c.RefreshSession(t.Context(), refreshToken(token))
		if test.allowed {
			if err != nil || !got.Extended {
				t.Errorf("RefreshSession(banned %s) = %v, %v, want extended", what, got, err)
			}
			continue
		}
		wantError(t, "RefreshSession(banned "+what+")", err, twirp.PermissionDenied, "USER_BANNED", "")
		wantUnchanged(t, e, "RefreshSession(banned "+what+")", id, before)
		if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
			t.Errorf("GetSession(banned %s) = %v, want the session", what, err)
		}
		setTime(t, e, id, "[expiresAt]", "7 days")
		_, err = c.RefreshSession(t.Context(), refreshToken(token))
		wantError(t, "RefreshSession(nothing to gain, banned "+what+")", err, twirp.PermissionDenied, "USER_BANNED", "")
	}

	user, id, token := addSession(t, e, "10 minutes")
	e.WebExec(t, "UPDATE {session} SET [impersonatedBy] = $1 WHERE id::text = $2", user, id)
	before := readRow(t, e, id)
	_, err := c.RefreshSession(t.Context(), refreshToken(token))
	wantError(t, "RefreshSession(impersonated)", err, twirp.FailedPrecondition, "SESSION_IMPERSONATED", "")
	wantUnchanged(t, e, "RefreshSession(impersonated)", id, before)
}

// TestRights logs in as the service and tries statements that its role must not run.
func TestRights(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		user, id, token := addSession(t, e, "10 minutes")
		before := readRow(t, e, id)
		conn, err := pgx.Connect(t.Context(), e.Program.Config.DatabaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for what, sql := range map[string]string{
			"read tokens":         "SELECT token FROM {session}",
			"count sessions":      "SELECT count(*) FROM {session}",
			"lock a session":      "SELECT 1 FROM {session} FOR UPDATE",
			"create a session":    "INSERT INTO {session} SELECT * FROM {session}",
			"create an empty one": "INSERT INTO {session} DEFAULT VALUES",
			"extend a session":    "UPDATE {session} SET [expiresAt] = " + at(e, "99 days"),
			"revoke":              "DELETE FROM {session}",
			"truncate":            "TRUNCATE {session}",
			"write users":         "UPDATE {user} SET name = 'x'",
			"read the user table": "SELECT email FROM {user}",
			"write the view":      "UPDATE game.users SET name = 'x'",
			"change the role":     "SET ROLE web_application",
			"drop a function":     "DROP FUNCTION game.session_by_token(text)",
			"create a function":   "CREATE FUNCTION game.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		} {
			_, err := conn.Exec(t.Context(), e.Expand(sql))
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
				t.Errorf("%s as the service: %v, want SQLSTATE 42501 (permission denied)", what, err)
			}
		}
		// The functions' results contain no token.
		for _, sql := range []string{"SELECT to_jsonb(s)::text FROM game.session_by_token_as($1, false) AS s", "SELECT to_jsonb(u)::text FROM game.users AS u WHERE $1 <> ''"} {
			var got string
			if err := conn.QueryRow(t.Context(), sql, token).Scan(&got); err != nil || strings.Contains(got, token) || !strings.Contains(got, user) {
				t.Errorf("%s = %s, %v, want the user %s and no token", sql, got, err, user)
			}
		}
		wantUnchanged(t, e, "the service's login", id, before)
	})
}

// TestNeverCached checks that no session request sends anything to Redis.
func TestNeverCached(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		var sent atomic.Int64
		e.RDProxy.OnSend(func(b []byte) { sent.Add(int64(len(b))) })
		c := client(t, e.Program, nil)
		_, id, token := addSession(t, e, "10 minutes")
		for _, form := range []string{token, sign(token, testenv.Secret), token + "x"} {
			for range 3 {
				_, _ = c.GetSession(t.Context(), byToken(form))
				_, _ = c.RefreshSession(t.Context(), refreshToken(form))
			}
		}
		_, _ = c.GetSession(t.Context(), byID(id))
		if n := sent.Load(); n != 0 {
			t.Errorf("%d bytes went to Redis, want none", n)
		}
		if n, err := e.Redis.Client.DBSize(t.Context()).Result(); err != nil || n != 0 {
			t.Errorf("Redis holds %d keys, %v, want none", n, err)
		}
	})
}

func TestDatabaseFaults(t *testing.T) {
	t.Parallel()
	for fault, f := range map[string]struct {
		begin, end func(*faultproxy.Proxy)
	}{
		"hung":    {(*faultproxy.Proxy).Hold, (*faultproxy.Proxy).Release},
		"refused": {(*faultproxy.Proxy).Refuse, (*faultproxy.Proxy).Accept},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				p := e.Open(t, testenv.RealDatabaseBudgets)
				c := databasev1.NewSessionServiceProtobufClient(serve(t, p, nil), http.DefaultClient)
				patient := client(t, p, nil)
				_, id, token := addSession(t, e, "10 minutes")
				before := readRow(t, e, id)
				for _, when := range []string{"cold", "after a success"} {
					f.begin(e.PGProxy)
					_, err := c.GetSession(t.Context(), byToken(token))
					wantError(t, "GetSession, "+when, err, twirp.Unavailable, "DATABASE_UNAVAILABLE", "")
					_, err = c.RefreshSession(t.Context(), refreshToken(token))
					wantError(t, "RefreshSession, "+when, err, twirp.Unavailable, "DATABASE_UNAVAILABLE", "")
					wantUnchanged(t, e, "RefreshSession, "+when, id, before)
					f.end(e.PGProxy)
					if _, err := patient.GetSession(t.Context(), byToken(token)); err != nil {
						t.Errorf("GetSession after the fault = %v, want the session", err)
					}
				}
				if got, err := patient.RefreshSession(t.Context(), refreshToken(token)); err != nil || !got.Extended {
					t.Errorf("RefreshSession after the fault = %v, %v, want extended", got, err)
				}
			})
		})
	}
}
