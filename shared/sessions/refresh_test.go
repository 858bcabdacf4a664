package sessions_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestRefreshSession(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program, nil)

		t.Run("extended from now", func(t *testing.T) {
			t.Parallel()
			const window = sessions.DefaultWindow
			for what, test := range map[string]struct {
				expires string // before
				seconds int32  // extend_seconds
				want    time.Duration
			}{
				"window":                  {"10 minutes", 0, window},
				"gains just five minutes": {"54 minutes 50 seconds", 0, window},
				"less than the window":    {"1 minute", 900, 15 * time.Minute},
				"more than the window":    {"10 minutes", 7200, window},
				"largest extend_seconds":  {"10 minutes", math.MaxInt32, window},
				"just the window":         {"10 minutes", 3600, window},
				"more than 5 s are left":  {"45 seconds", 0, window},
			} {
				user, id, token := addSession(t, e, test.expires)
				r := refreshToken(token)
				r.ExtendSeconds = test.seconds
				before := readRow(t, e, id)
				got, err := c.RefreshSession(t.Context(), r)
				if err != nil || !got.Extended || got.Session.Id != id || got.Session.UserId != user {
					t.Errorf("RefreshSession(%s) = %v, %v, want %s extended", what, got, err, id)
					continue
				}
				after := readRow(t, e, id)
				wantBetween(t, what+": expiresAt", after.ExpiresAt, before.Clock.Add(test.want), after.Clock.Add(test.want))
				wantBetween(t, what+": expires_at of the reply", got.Session.ExpiresAt.AsTime(), after.ExpiresAt, after.ExpiresAt)
				wantSeconds(t, what, got.Session.ExpiresInSeconds, after.ExpiresAt, before.Clock, after.Clock)
				if diff := cmp.Diff(before.Rest, after.Rest); diff != "" {
					t.Errorf("RefreshSession(%s) changed more than expiresAt (-before +after):\n%s", what, diff)
				}
			}
		})

		t.Run("by session_id", func(t *testing.T) {
			t.Parallel()
			_, id, _ := addSession(t, e, "10 minutes")
			before := readRow(t, e, id)
			got, err := c.RefreshSession(t.Context(), refreshID(id))
			if e.SerialIDs() {
				wantError(t, "RefreshSession", err, twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id")
				wantUnchanged(t, e, "RefreshSession", id, before)
				return
			}
			if err != nil || !got.Extended {
				t.Errorf("RefreshSession(id %s) = %v, %v, want extended", id, got, err)
			}
		})

		t.Run("at most 30 days from its creation", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "5 minutes")
			setTime(t, e, id, "[createdAt]", "-30 days +20 minutes")
			got, err := c.RefreshSession(t.Context(), refreshToken(token))
			if err != nil || !got.Extended {
				t.Fatalf("RefreshSession = %v, %v, want extended", got, err)
			}
			after := readRow(t, e, id)
			limit := after.CreatedAt.Add(sessions.DefaultCap)
			wantBetween(t, "expiresAt", after.ExpiresAt, limit, limit)
		})

		t.Run("configured window and cap", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "5 minutes")
			setTime(t, e, id, "[createdAt]", "-80 minutes")
			c := client(t, e.Program, func(c *sessions.Config) { c.Window, c.Cap = 50*time.Minute, 2*time.Hour })
			if got, err := c.RefreshSession(t.Context(), refreshToken(token)); err != nil || !got.Extended {
				t.Fatalf("RefreshSession = %v, %v, want extended", got, err)
			}
			after := readRow(t, e, id)
			limit := after.CreatedAt.Add(2 * time.Hour)
			wantBetween(t, "expiresAt", after.ExpiresAt, limit, limit)
		})

		t.Run("configured above the limits of the database", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "5 minutes")
			c := client(t, e.Program, func(c *sessions.Config) { c.Window, c.Cap = 10*time.Hour, 1000*time.Hour })
			before := readRow(t, e, id)
			got, err := c.RefreshSession(t.Context(), refreshToken(token))
			if err != nil || !got.Extended {
				t.Fatalf("RefreshSession = %v, %v, want extended", got, err)
			}
			after := readRow(t, e, id)
			wantBetween(t, "expiresAt", after.ExpiresAt, before.Clock.Add(sessions.DefaultWindow), after.Clock.Add(sessions.DefaultWindow))
			wantBetween(t, "expires_at", got.Session.ExpiresAt.AsTime(), after.ExpiresAt, after.ExpiresAt)
			again, err := c.RefreshSession(t.Context(), refreshToken(token))
			if err != nil || again.Extended {
				t.Errorf("RefreshSession again = %v, %v, want not extended", again, err)
			}
		})

		t.Run("not extended, not written", func(t *testing.T) {
			t.Parallel()
			for what, test := range map[string]struct {
				expires, created string
				seconds          int32
			}{
				"better-auth's 7 days stay":      {"7 days", "-1 minute", 0},
				"gains four minutes":             {"56 minutes", "-1 minute", 0},
				"gains nothing":                  {"1 hour", "-1 minute", 0},
				"requested less than is left":    {"50 minutes", "-1 minute", 600},
				"requested one second":           {"50 minutes", "-1 minute", 1},
				"the cap leaves four minutes":    {"5 minutes", "-30 days +9 minutes", 0},
				"past the cap, still live":       {"5 minutes", "-40 days", 0},
				"past the cap, live for 20 days": {"20 days", "-40 days", math.MaxInt32},
			} {
				_, id, token := addSession(t, e, test.expires)
				setTime(t, e, id, "[createdAt]", test.created)
				r := refreshToken(token)
				r.ExtendSeconds = test.seconds
				before := readRow(t, e, id)
				got, err := c.RefreshSession(t.Context(), r)
				if err != nil || got.Extended {
					t.Errorf("RefreshSession(%s) = %v, %v, want not extended", what, got, err)
					continue
				}
				after := wantUnchanged(t, e, what, id, before)
				wantBetween(t, what+": expires_at", got.Session.ExpiresAt.AsTime(), before.ExpiresAt, before.ExpiresAt)
				wantSeconds(t, what, got.Session.ExpiresInSeconds, before.ExpiresAt, before.Clock, after.Clock)
			}
		})

		t.Run("in its last 5 s", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			setTime(t, e, id, "[expiresAt]", "4 seconds")
			before := readRow(t, e, id)
			got, err := c.RefreshSession(t.Context(), refreshToken(token))
			if err != nil { // on a slow machine the session has expired
				wantError(t, "RefreshSession", err, twirp.NotFound, "SESSION_EXPIRED", "")
			} else if got.Extended {
				t.Errorf("RefreshSession = %v, want not extended", got)
			}
			wantUnchanged(t, e, "RefreshSession", id, before)
		})

		t.Run("expired", func(t *testing.T) {
			t.Parallel()
			for _, offset := range []string{"0 s", "-1 s", "-1 day"} {
				_, id, token := addSession(t, e, offset)
				before := readRow(t, e, id)
				_, err := c.RefreshSession(t.Context(), refreshToken(token))
				wantError(t, "RefreshSession("+offset+")", err, twirp.NotFound, "SESSION_EXPIRED", "")
				wantUnchanged(t, e, "RefreshSession("+offset+")", id, before)
			}
		})

		t.Run("revoked", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "10 minutes")
			e.WebExec(t, "DELETE FROM {session} WHERE id::text = $1", id)
			_, err := c.RefreshSession(t.Context(), refreshToken(token))
			wantError(t, "RefreshSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
		})

		t.Run("wrong signature", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "10 minutes")
			before := readRow(t, e, id)
			_, err := c.RefreshSession(t.Context(), refreshToken(sign(token, "another secret")))
			wantError(t, "RefreshSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
			wantUnchanged(t, e, "RefreshSession", id, before)
		})

		t.Run("bad request", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "10 minutes")
			before := readRow(t, e, id)
			for _, seconds := range []int32{-1, math.MinInt32} {
				r := refreshToken(token)
				r.ExtendSeconds = seconds
				_, err := c.RefreshSession(t.Context(), r)
				wantError(t, "RefreshSession", err, twirp.InvalidArgument, "ARGUMENT", "extend_seconds")
			}
			r := refreshToken(token)
			r.Session = nil
			_, err := c.RefreshSession(t.Context(), r)
			wantError(t, "RefreshSession(nothing)", err, twirp.InvalidArgument, "ARGUMENT", "session")
			_, err = c.RefreshSession(t.Context(), refreshToken(""))
			wantError(t, "RefreshSession(no token)", err, twirp.InvalidArgument, "ARGUMENT", "token")
			_, err = c.RefreshSession(t.Context(), refreshID(""))
			wantError(t, "RefreshSession(no id)", err, twirp.InvalidArgument, "ARGUMENT", "session_id")
			wantUnchanged(t, e, "RefreshSession", id, before)
		})

		t.Run("banned", func(t *testing.T) { t.Parallel(); testRefreshBanned(t, e, c) })
	})
}

// wantUnchanged checks that the row was not written, not even with the same values.
func wantUnchanged(t testing.TB, e *testenv.Env, call, id string, before row) row {
	t.Helper()
	after := readRow(t, e, id)
	if after.Xmin != before.Xmin || !after.ExpiresAt.Equal(before.ExpiresAt) || after.Rest != before.Rest {
		t.Errorf("%s wrote the row: before %+v, after %+v", call, before, after)
	}
	return after
}
