package sessions_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestRefreshDuringWebWrite makes a refresh read the session and then wait for the row's lock, which a transaction
// of the web application holds. Then the transaction commits.
func TestRefreshDuringWebWrite(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program, nil)
		for what, test := range map[string]struct {
			sql      string
			reason   string // of the error; empty: no error
			extended bool
		}{
			"better-auth extends beyond the window":  {sql: "UPDATE {session} SET [expiresAt] = " + at(e, "7 days") + ", [updatedAt] = " + at(e, "0 s")},
			"better-auth extends by less":            {sql: "UPDATE {session} SET [expiresAt] = " + at(e, "20 minutes"), extended: true},
			"revoked by deletion":                    {sql: "DELETE FROM {session}", reason: "SESSION_NOT_FOUND"},
			"revoked by expiry":                      {sql: "UPDATE {session} SET [expiresAt] = " + at(e, "0 s"), reason: "SESSION_EXPIRED"},
			"revoked by a host whose clock is ahead": {sql: "UPDATE {session} SET [expiresAt] = " + at(e, "3 s")},
			"another column is written":              {sql: "UPDATE {session} SET [updatedAt] = " + at(e, "1 s"), extended: true},
		} {
			_, id, token := addSession(t, e, "10 minutes")
			tx := begin(t, e, test.sql+" WHERE id::text = $1", id)
			var got *databasev1.RefreshSessionResponse
			var err error
			var wg sync.WaitGroup
			wg.Go(func() { got, err = c.RefreshSession(t.Context(), refreshToken(token)) })
			waitBlocked(t, e)
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			var committed row
			if test.reason != "SESSION_NOT_FOUND" && !test.extended {
				committed = readRow(t, e, id)
			}
			wg.Wait()
			switch {
			case what == "revoked by a host whose clock is ahead":
				wantUnchanged(t, e, what, id, committed)
			case test.reason != "":
				wantError(t, "RefreshSession: "+what, err, twirp.NotFound, test.reason, "")
				if committed.Xmin != "" {
					wantUnchanged(t, e, what, id, committed)
				}
			case err != nil || got.Extended != test.extended:
				t.Errorf("RefreshSession: %s = %v, %v, want extended %t", what, got, err, test.extended)
			default:
				after := readRow(t, e, id)
				wantBetween(t, what+": expires_at of the reply", got.Session.ExpiresAt.AsTime(), after.ExpiresAt, after.ExpiresAt)
				if committed.Xmin != "" {
					wantUnchanged(t, e, what, id, committed)
				}
			}
		}
	})
}

// TestBanWhileARefreshWaits bans the user while the refresh waits for the session's row. The refresh read the user before.
func TestBanWhileARefreshWaits(t *testing.T) {
	t.Parallel()
	for _, variant := range []string{"plugins", "snake"} {
		e := testenv.New(t, variant, testenv.RedisKinds()[0])
		user, id, token := addSession(t, e, "10 minutes")
		before := readRow(t, e, id)
		tx := begin(t, e, "SELECT 1 FROM {session} WHERE id::text = $1 FOR UPDATE", id)
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { _, err = client(t, e.Program, nil).RefreshSession(t.Context(), refreshToken(token)) })
		waitBlocked(t, e)
		e.WebExec(t, "UPDATE {user} SET [banned] = true WHERE id = $1", user)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		wantError(t, "RefreshSession", err, twirp.PermissionDenied, "USER_BANNED", "")
		if after := readRow(t, e, id); !after.ExpiresAt.Equal(before.ExpiresAt) {
			t.Errorf("%s: the session now ends at %v, want as before the ban: %v", variant, after.ExpiresAt, before.ExpiresAt)
		}
	}
}

// begin runs a statement on a session in an open transaction of the web application, which holds the row's lock.
func begin(t testing.TB, e *testenv.Env, sql, id string) pgx.Tx {
	t.Helper()
	tx, err := e.Web.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), e.Expand(sql), id); err != nil {
		t.Fatal(err)
	}
	return tx
}

// waitBlocked returns when a statement of the service waits for a lock.
func waitBlocked(t testing.TB, e *testenv.Env) {
	t.Helper()
	for blocked := 0; blocked == 0; {
		err := e.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'database-service' AND wait_event_type = 'Lock'`).Scan(&blocked)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrentRefreshes(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		const callers = 16
		// Two clients in different processes, like two functions.
		clients := []databasev1.SessionService{client(t, e.Program, nil), client(t, e.Open(t), nil)}
		all := func(token string, started func()) (replies [callers]*databasev1.RefreshSessionResponse) {
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					var err error
					if replies[i], err = clients[i%len(clients)].RefreshSession(t.Context(), refreshToken(token)); err != nil {
						t.Errorf("RefreshSession by caller %d = %v, want none", i, err)
						replies[i] = &databasev1.RefreshSessionResponse{}
					}
				})
			}
			started()
			wg.Wait()
			return replies
		}

		_, id, token := addSession(t, e, "10 minutes")
		before := readRow(t, e, id)
		replies := all(token, func() {})
		after := readRow(t, e, id)
		wantBetween(t, "alone: expiresAt", after.ExpiresAt, before.Clock.Add(sessions.DefaultWindow), after.Clock.Add(sessions.DefaultWindow))
		wantReplies(t, "alone", replies[:], after.ExpiresAt, 1)

		_, id, token = addSession(t, e, "10 minutes")
		tx := begin(t, e, "UPDATE {session} SET [expiresAt] = "+at(e, "7 days")+" WHERE id::text = $1", id)
		replies = all(token, func() {
			waitBlocked(t, e)
			if err := tx.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		})
		after = readRow(t, e, id)
		wantBetween(t, "with better-auth: expiresAt", after.ExpiresAt, after.Clock.Add(6*24*time.Hour), after.Clock.Add(7*24*time.Hour))
		wantReplies(t, "with better-auth", replies[:], after.ExpiresAt, 0)
	})
}

// wantReplies checks that every reply has the final expiry, and that at most mostExtended replies say that they
// extended it. A caller that retried may have extended it by the first try, whose reply it did not get.
func wantReplies(t *testing.T, what string, replies []*databasev1.RefreshSessionResponse, expires time.Time, mostExtended int) {
	t.Helper()
	extended := 0
	for i, r := range replies {
		if r.Extended {
			extended++
		}
		wantBetween(t, what+": expires_at of the reply to caller "+string(rune('a'+i)), r.GetSession().GetExpiresAt().AsTime(), expires, expires)
	}
	if extended > mostExtended {
		t.Errorf("%s: %d replies say extended, want at most %d", what, extended, mostExtended)
	}
}
