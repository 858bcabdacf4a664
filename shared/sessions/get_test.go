package sessions_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/sessiontoken"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestGetSession(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		c := client(t, e.Program, nil)

		t.Run("fields", func(t *testing.T) {
			t.Parallel()
			user, id, token := addSession(t, e, "90 minutes")
			before := readRow(t, e, id)
			got, err := c.GetSession(t.Context(), byToken(token))
			if err != nil {
				t.Fatalf("GetSession: %v", err)
			}
			after := readRow(t, e, id)
			want := &databasev1.Session{Id: id, UserId: user, IpAddress: "203.0.113.7", UserAgent: "test agent"}
			if diff := cmp.Diff(want, got.Session, protocmp.Transform(),
				protocmp.IgnoreFields(want, "created_at", "updated_at", "expires_at", "expires_in_seconds")); diff != "" {
				t.Errorf("GetSession (-want +got):\n%s", diff)
			}
			wantBetween(t, "expires_at", got.Session.ExpiresAt.AsTime(), before.ExpiresAt, before.ExpiresAt)
			wantBetween(t, "created_at", got.Session.CreatedAt.AsTime(), before.CreatedAt, before.CreatedAt)
			wantBetween(t, "updated_at", got.Session.UpdatedAt.AsTime(), before.CreatedAt, before.CreatedAt) // testenv sets both to the same time
			wantSeconds(t, "GetSession", got.Session.ExpiresInSeconds, before.ExpiresAt, before.Clock, after.Clock)
			if before.Xmin != after.Xmin {
				t.Errorf("GetSession wrote the row: xmin %s, then %s", before.Xmin, after.Xmin)
			}
		})

		t.Run("no address and no agent", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			e.WebExec(t, "UPDATE {session} SET [ipAddress] = NULL, [userAgent] = NULL WHERE id::text = $1", id)
			got, err := c.GetSession(t.Context(), byToken(token))
			if err != nil || got.Session.IpAddress != "" || got.Session.UserAgent != "" {
				t.Errorf("GetSession = %v, %v, want both empty", got, err)
			}
		})

		t.Run("forms of the token", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			cookie := sign(token, testenv.Secret)
			for form, sent := range map[string]string{
				"raw": token, "cookie": cookie, "percent-encoded cookie": url.QueryEscape(cookie), "percent-encoded raw": "%" + hexOf(token[0]) + token[1:],
			} {
				got, err := c.GetSession(t.Context(), byToken(sent))
				if err != nil || got.Session.Id != id {
					t.Errorf("GetSession(%s) = %v, %v, want session %s", form, got, err, id)
				}
			}
			for form, sent := range map[string]string{
				"wrong signature": sign(token, "another secret"), "no signature": token + ".", "no token": sign("", testenv.Secret),
				"signature of another token": token + sign("other", testenv.Secret)[len("other"):], "signature is not base64": token + ".%%%",
				"unknown token": "nobody" + token, "token in another case": strings.ToLower(token), "blank after it": token + " ",
				"percent-encoded NUL": token + "%00", "percent-encoded invalid UTF-8": token + "%ff", "broken percent-encoding": token + "%zz",
				"percent-encoded NUL in a cookie": url.QueryEscape(sign(token+"\x00", testenv.Secret)),
			} {
				_, err := c.GetSession(t.Context(), byToken(sent))
				wantError(t, "GetSession("+form+")", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
			}
		})

		t.Run("without a secret signatures are ignored", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			c := client(t, e.Program, func(c *sessions.Config) { c.Verifier = sessiontoken.NewVerifier("") })
			for _, sent := range []string{token, sign(token, "another secret"), token + ".x"} {
				got, err := c.GetSession(t.Context(), byToken(sent))
				if err != nil || got.Session.Id != id {
					t.Errorf("GetSession = %v, %v, want session %s", got, err, id)
				}
			}
			for _, sent := range []string{token + "%00.x", token + "%ff.x"} {
				_, err := c.GetSession(t.Context(), byToken(sent))
				wantError(t, "GetSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
			}
		})

		t.Run("session_id", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			if e.SerialIDs() {
				for _, sent := range []string{id, "1", "0", "x", "9223372036854775808"} {
					_, err := c.GetSession(t.Context(), byID(sent))
					wantError(t, "GetSession(id "+sent+")", err, twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id")
				}
				return
			}
			got, err := c.GetSession(t.Context(), byID(id))
			if err != nil || got.Session.Id != id {
				t.Errorf("GetSession(id %s) = %v, %v, want the session", id, got, err)
			}
			for _, sent := range []string{token, "1", "00000000-0000-4000-8000-000000000000", id + " ", swapCase(id)} {
				_, err := c.GetSession(t.Context(), byID(sent))
				wantError(t, "GetSession(id "+sent+")", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
			}
		})

		t.Run("session_id as token", func(t *testing.T) {
			t.Parallel()
			_, id, _ := addSession(t, e, "1 hour")
			_, err := c.GetSession(t.Context(), byToken(id))
			wantError(t, "GetSession(token: the id)", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
		})

		t.Run("session_id is refused by a setting", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			c := client(t, e.Program, func(c *sessions.Config) { c.RefuseSessionID = true })
			_, err := c.GetSession(t.Context(), byID(id))
			wantError(t, "GetSession", err, twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id")
			_, err = c.RefreshSession(t.Context(), refreshID(id))
			wantError(t, "RefreshSession", err, twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id")
			if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
				t.Errorf("GetSession(token) = %v, want the session", err)
			}
		})

		t.Run("expired", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
				t.Fatalf("GetSession before: %v", err)
			}
			for _, offset := range []string{"0 s", "-1 hour", "-400 days"} {
				setTime(t, e, id, "[expiresAt]", offset)
				_, err := c.GetSession(t.Context(), byToken(token))
				wantError(t, "GetSession("+offset+")", err, twirp.NotFound, "SESSION_EXPIRED", "")
				if !e.SerialIDs() {
					_, err = c.GetSession(t.Context(), byID(id))
					wantError(t, "GetSession(id, "+offset+")", err, twirp.NotFound, "SESSION_EXPIRED", "")
				}
			}
			setTime(t, e, id, "[expiresAt]", "1 hour")
			if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
				t.Errorf("GetSession after the web application extended it = %v, want the session", err)
			}
		})

		t.Run("revoked", func(t *testing.T) {
			t.Parallel()
			_, id, token := addSession(t, e, "1 hour")
			if _, err := c.GetSession(t.Context(), byToken(token)); err != nil {
				t.Fatalf("GetSession before: %v", err)
			}
			e.WebExec(t, "DELETE FROM {session} WHERE id::text = $1", id)
			_, err := c.GetSession(t.Context(), byToken(token))
			wantError(t, "GetSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
		})

		t.Run("user removed", func(t *testing.T) {
			t.Parallel()
			user, _, token := addSession(t, e, "1 hour")
			e.WebExec(t, "DELETE FROM {user} WHERE id::text = $1", user)
			_, err := c.GetSession(t.Context(), byToken(token))
			wantError(t, "GetSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
			_, err = c.RefreshSession(t.Context(), refreshToken(token))
			wantError(t, "RefreshSession", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
		})

		if e.Plugins() { // only their schema has the column
			t.Run("impersonated", func(t *testing.T) {
				t.Parallel()
				user, id, token := addSession(t, e, "1 hour")
				e.WebExec(t, "UPDATE {session} SET [impersonatedBy] = $1 WHERE id::text = $2", user, id)
				got, err := c.GetSession(t.Context(), byToken(token))
				if err != nil || !got.Session.Impersonated {
					t.Errorf("GetSession = %v, %v, want impersonated", got, err)
				}
			})
		}

		t.Run("bad request", func(t *testing.T) {
			t.Parallel()
			for what, test := range map[string]struct {
				request  *databasev1.GetSessionRequest
				argument string
			}{
				"nothing":         {&databasev1.GetSessionRequest{}, "session"},
				"empty token":     {byToken(""), "token"},
				"empty id":        {byID(""), "session_id"},
				"long token":      {byToken(strings.Repeat("x", sessiontoken.MaxLen+1)), "token"},
				"long id":         {byID(strings.Repeat("x", 257)), "session_id"},
				"NUL in a token":  {byToken("a\x00b"), "token"},
				"NUL in an id":    {byID("a\x00b"), "session_id"},
				"NUL as an id":    {byID("\x00"), "session_id"},
				"NUL as a token":  {byToken("\x00"), "token"},
				"much too long":   {byToken(strings.Repeat("%41", 100_000)), "token"},
				"much too long 2": {byID(strings.Repeat("é", 100_000)), "session_id"},
			} {
				_, err := c.GetSession(t.Context(), test.request)
				wantError(t, "GetSession("+what+")", err, twirp.InvalidArgument, "ARGUMENT", test.argument)
			}
		})
	})
}

func hexOf(b byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[b>>4], digits[b&15]})
}

// swapCase returns s with the case of its first letter changed.
func swapCase(s string) string {
	for i := range len(s) {
		if b := s[i]; b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' {
			return s[:i] + string(rune(b^0x20)) + s[i+1:]
		}
	}
	return s + "A"
}

func TestGetSessionJSON(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0])
	url := serve(t, e.Program, nil)
	_, id, token := addSession(t, e, "1 hour")
	protobuf, err := databasev1.NewSessionServiceProtobufClient(url, http.DefaultClient).GetSession(t.Context(), byToken(token))
	if err != nil {
		t.Fatalf("GetSession: %v", err)
	}
	c := databasev1.NewSessionServiceJSONClient(url, http.DefaultClient)
	json, err := c.GetSession(t.Context(), byToken(token))
	if err != nil {
		t.Fatalf("GetSession as JSON: %v", err)
	}
	if diff := cmp.Diff(protobuf, json, protocmp.Transform(), protocmp.IgnoreFields(protobuf.Session, "expires_in_seconds")); diff != "" {
		t.Errorf("GetSession (-protobuf +JSON):\n%s", diff)
	}
	refreshed, err := c.RefreshSession(t.Context(), refreshID(id))
	if err != nil || refreshed.Session.Id != id || refreshed.Extended {
		t.Errorf("RefreshSession as JSON = %v, %v, want %s, not extended", refreshed, err, id)
	}
	_, err = c.GetSession(t.Context(), byToken("x"+token))
	wantError(t, "GetSession as JSON", err, twirp.NotFound, "SESSION_NOT_FOUND", "")
}
