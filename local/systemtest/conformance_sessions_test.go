package systemtest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

var (
	noSuchSession = fault{twirp.NotFound, "SESSION_NOT_FOUND"}
	expired       = fault{twirp.NotFound, "SESSION_EXPIRED"}
	idRefused     = fault{twirp.InvalidArgument, "SESSION_ID_REFUSED"}
)

// sessionKey is how a request names a session: by token, by id, or not at all.
type sessionKey struct{ token, id *string }

func byToken(token string) sessionKey { return sessionKey{token: &token} }

func byID(id string) sessionKey { return sessionKey{id: &id} }

func playerByToken(token string) *databasev1.GetUserBySessionRequest {
	return &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}
}

// sessionRPCs returns the rpcs whose request names a session.
func sessionRPCs() map[string]func(*clients, context.Context, sessionKey) (*databasev1.Session, error) {
	return map[string]func(*clients, context.Context, sessionKey) (*databasev1.Session, error){
		"GetUserBySession": func(c *clients, ctx context.Context, k sessionKey) (*databasev1.Session, error) {
			r := &databasev1.GetUserBySessionRequest{}
			switch {
			case k.token != nil:
				r = playerByToken(*k.token)
			case k.id != nil:
				r.Session = &databasev1.GetUserBySessionRequest_SessionId{SessionId: *k.id}
			}
			a, err := c.users.GetUserBySession(ctx, r)
			return a.GetSession(), err
		},
		"GetSession": func(c *clients, ctx context.Context, k sessionKey) (*databasev1.Session, error) {
			r := &databasev1.GetSessionRequest{}
			switch {
			case k.token != nil:
				r.Session = &databasev1.GetSessionRequest_Token{Token: *k.token}
			case k.id != nil:
				r.Session = &databasev1.GetSessionRequest_SessionId{SessionId: *k.id}
			}
			a, err := c.sessions.GetSession(ctx, r)
			return a.GetSession(), err
		},
		"RefreshSession": func(c *clients, ctx context.Context, k sessionKey) (*databasev1.Session, error) {
			a, err := c.sessions.RefreshSession(ctx, refreshRequest(k, 0))
			return a.GetSession(), err
		},
	}
}

func refreshRequest(k sessionKey, extend int32) *databasev1.RefreshSessionRequest {
	r := &databasev1.RefreshSessionRequest{ExtendSeconds: extend}
	switch {
	case k.token != nil:
		r.Session = &databasev1.RefreshSessionRequest_Token{Token: *k.token}
	case k.id != nil:
		r.Session = &databasev1.RefreshSessionRequest_SessionId{SessionId: *k.id}
	}
	return r
}

// signedCookie returns the value of better-auth's cookie for a token.
func signedCookie(token string) string {
	mac := hmac.New(sha256.New, []byte(testenv.Secret))
	mac.Write([]byte(token))
	return token + "." + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func sessionScenarios() []scenario {
	var all []scenario
	for rpc, f := range sessionRPCs() {
		here := func(c *conform) func(context.Context, sessionKey) (*databasev1.Session, error) {
			return func(ctx context.Context, k sessionKey) (*databasev1.Session, error) { return f(c.clients, ctx, k) }
		}
		all = append(all,
			scenario{rpc, "in every form", func(c *conform) {
				user := c.player().Id
				id, token := c.AddSession(c, user, 2*time.Hour)
				for _, k := range []sessionKey{byToken(token), byToken(signedCookie(token)), byToken(url.QueryEscape(signedCookie(token))), byID(id)} {
					s := ok(c, here(c), k)
					if s.Id != id || s.UserId != user || s.ExpiresInSeconds < 1 || s.IpAddress != "203.0.113.7" || s.UserAgent != "test agent" {
						c.Errorf("%s = %v, want the session %s of %s", rpc, s, id, user)
					}
				}
			}},
			scenario{rpc, "ARGUMENT", func(c *conform) {
				badArguments(c, here(c), map[string]sessionKey{
					"session": {}, "token": byToken(""), "token is too long": byToken(tooLong), "token has a NUL": byToken("a\x00"),
					"session_id": byID(""), "session_id is too long": byID(tooLong), "session_id has a NUL": byID("a\x00"),
				})
			}},
			scenario{rpc, "SESSION_ID_REFUSED", func(c *conform) {
				id, token := c.AddSession(c, c.player().Id, 2*time.Hour)
				strict := *c
				strict.clients = c.noIDs
				refuses(c, here(&strict), byID(id), idRefused)
				ok(c, here(&strict), byToken(token))
			}},
			scenario{rpc, "SESSION_NOT_FOUND", func(c *conform) {
				id, token := c.AddSession(c, c.player().Id, 2*time.Hour)
				unknown := []sessionKey{byToken("unknown"), byToken(signedCookie("unknown")), byToken(token + ".AAAA"), byID("unknown")}
				for _, k := range unknown {
					refuses(c, here(c), k, noSuchSession)
				}
				ok(c, here(c), byToken(token))
				c.WebExec(c, `DELETE FROM {session} WHERE id = $1`, id)
				refuses(c, here(c), byToken(token), noSuchSession)
				refuses(c, here(c), byID(id), noSuchSession)
			}},
			scenario{rpc, "SESSION_EXPIRED", func(c *conform) {
				id, token := c.AddSession(c, c.player().Id, 2*time.Hour)
				ok(c, here(c), byToken(token))
				c.WebExec(c, `UPDATE {session} SET [expiresAt] = now() - interval '1 s' WHERE id = $1`, id)
				refuses(c, here(c), byToken(token), expired)
				refuses(c, here(c), byID(id), expired)
			}},
		)
	}
	return all
}

func refreshScenarios() []scenario {
	return []scenario{
		{"RefreshSession", "extended, and then not", func(c *conform) {
			_, token := c.AddSession(c, c.player().Id, 10*time.Minute)
			before := ok(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0))
			if s := before.Session; !before.Extended || s.ExpiresInSeconds < 3000 || s.ExpiresInSeconds > 3600 {
				c.Errorf("RefreshSession = %v, want it extended to an hour", before)
			}
			again := ok(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0))
			read := ok(c, c.sessions.GetSession, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
			for what, s := range map[string]*databasev1.Session{"RefreshSession": again.Session, "GetSession": read.Session} {
				if again.Extended || !s.ExpiresAt.AsTime().Equal(before.Session.ExpiresAt.AsTime()) {
					c.Errorf("%s after a refresh = %v, extended %t; want %v", what, s, again.Extended, before.Session)
				}
			}
		}},
		{"RefreshSession", "by less", func(c *conform) {
			_, token := c.AddSession(c, c.player().Id, 10*time.Minute)
			got := ok(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 1000))
			if s := got.Session; !got.Extended || s.ExpiresInSeconds > 1000 || s.ExpiresInSeconds < 900 {
				c.Errorf("RefreshSession by 1000 s = %v", got)
			}
		}},
		{"RefreshSession", "never shorter", func(c *conform) {
			_, token := c.AddSession(c, c.player().Id, 48*time.Hour)
			got := ok(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0))
			if got.Extended || got.Session.ExpiresInSeconds < 47*3600 {
				c.Errorf("RefreshSession of a long session = %v, want it as it was", got)
			}
		}},
		{"RefreshSession", "ARGUMENT extend_seconds", func(c *conform) {
			badArguments(c, c.sessions.RefreshSession, map[string]*databasev1.RefreshSessionRequest{"extend_seconds": refreshRequest(byToken("t"), -1)})
		}},
		{"RefreshSession", "USER_BANNED", func(c *conform) {
			u := c.player()
			_, token := c.AddSession(c, u.Id, 10*time.Minute)
			c.WebExec(c, `UPDATE {user} SET [banned] = true WHERE id = $1`, u.Id)
			refuses(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0), fault{twirp.PermissionDenied, "USER_BANNED"})
			c.WebExec(c, `UPDATE {user} SET [banned] = false WHERE id = $1`, u.Id)
			ok(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0))
		}},
		{"RefreshSession", "SESSION_IMPERSONATED", func(c *conform) {
			id, token := c.AddSession(c, c.player().Id, 10*time.Minute)
			c.WebExec(c, `UPDATE {session} SET [impersonatedBy] = 'an administrator' WHERE id = $1`, id)
			refuses(c, c.sessions.RefreshSession, refreshRequest(byToken(token), 0), fault{twirp.FailedPrecondition, "SESSION_IMPERSONATED"})
			if a := ok(c, c.users.GetUserBySession, playerByToken(token)); !a.Session.Impersonated {
				c.Errorf("GetUserBySession = %v, want it impersonated", a)
			}
		}},
	}
}
