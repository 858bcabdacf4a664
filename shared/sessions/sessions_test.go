package sessions_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serve serves SessionService on p. change, if not nil, changes its configuration.
func serve(t testing.TB, p *app.Program, change func(*sessions.Config)) string {
	t.Helper()
	c := sessions.Config(p.Config.Sessions)
	if change != nil {
		change(&c)
	}
	return testenv.Serve(t, func(o twirp.ServerOption) []databasev1.TwirpServer {
		s := sessions.NewService(sessions.NewRepository(p.DB), c)
		return []databasev1.TwirpServer{databasev1.NewSessionServiceServer(s, o)}
	})
}

// client returns a client that retries while the database does not answer in time, as callers do: on a machine under
// load a statement may time out. After 30 tries it returns the error.
func client(t testing.TB, p *app.Program, change func(*sessions.Config)) databasev1.SessionService {
	t.Helper()
	repeat := func(next twirp.Method) twirp.Method {
		return func(ctx context.Context, request any) (response any, err error) {
			for range 30 {
				response, err = next(ctx, request)
				e, ok := errors.AsType[twirp.Error](err)
				if !ok || e.Code() != twirp.Unavailable && e.Code() != twirp.DeadlineExceeded {
					break
				}
			}
			return response, err
		}
	}
	return databasev1.NewSessionServiceProtobufClient(serve(t, p, change), http.DefaultClient, twirp.WithClientInterceptors(repeat))
}

func byToken(token string) *databasev1.GetSessionRequest {
	return &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
}

func byID(id string) *databasev1.GetSessionRequest {
	return &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_SessionId{SessionId: id}}
}

func refreshToken(token string) *databasev1.RefreshSessionRequest {
	return &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}}
}

func refreshID(id string) *databasev1.RefreshSessionRequest {
	return &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_SessionId{SessionId: id}}
}

// sign makes a session token the value of better-auth's cookie, before it is percent-encoded.
func sign(token, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token))
	return token + "." + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// wantError checks the parts of an error that the .proto promises. argument is empty if no field is wrong.
func wantError(t testing.TB, call string, err error, code twirp.ErrorCode, reason, argument string) {
	t.Helper()
	e, ok := err.(twirp.Error)
	if !ok {
		t.Errorf("%s = %v, want %s %s", call, err, code, reason)
		return
	}
	if e.Code() != code || e.Meta("reason") != reason || e.Meta("argument") != argument {
		t.Errorf("%s = %s %s argument=%q (%v), want %s %s argument=%q",
			call, e.Code(), e.Meta("reason"), e.Meta("argument"), err, code, reason, argument)
	}
}

// at returns SQL for the database's time plus offset, an interval, in the type of better-auth's columns.
func at(e *testenv.Env, offset string) string {
	if e.Variant == "timestamp" {
		return "(now() AT TIME ZONE 'UTC' + interval '" + offset + "')"
	}
	return "(now() + interval '" + offset + "')"
}

// setTime sets a time of a session, for example [expiresAt], as the web application would.
func setTime(t testing.TB, e *testenv.Env, id, column, offset string) {
	t.Helper()
	e.WebExec(t, "UPDATE {session} SET "+column+" = "+at(e, offset)+" WHERE id::text = $1", id)
}

// addSession creates a user and a session that expires at an offset from now.
func addSession(t testing.TB, e *testenv.Env, expires string) (user, id, token string) {
	t.Helper()
	user = e.AddUser(t, "Player"+time.Now().Format("150405.000000000")) // a unique name
	id, token = e.AddSession(t, user, time.Hour)
	setTime(t, e, id, "[expiresAt]", expires)
	return user, id, token
}

// row is a session as stored.
type row struct {
	Rest      string // all columns except expiresAt, as JSON
	Xmin      string
	CreatedAt time.Time
	ExpiresAt time.Time
	Clock     time.Time // of the database
}

func readRow(t testing.TB, e *testenv.Env, id string) row {
	t.Helper()
	zone, column := "", "expiresAt"
	switch e.Variant {
	case "timestamp":
		zone = " AT TIME ZONE 'UTC'"
	case "snake":
		column = "expires_at"
	}
	var r row
	err := e.Owner.QueryRow(t.Context(), e.Expand(`SELECT (to_jsonb(s) - '`+column+`')::text, s.xmin::text,
		s.[createdAt]`+zone+`, s.[expiresAt]`+zone+`, clock_timestamp()
		FROM {session} AS s WHERE id::text = $1`), id).Scan(&r.Rest, &r.Xmin, &r.CreatedAt, &r.ExpiresAt, &r.Clock)
	if err != nil {
		t.Fatalf("read session %s: %v", id, err)
	}
	return r
}

// wantBetween checks that a time is within the bounds.
func wantBetween(t testing.TB, what string, got, least, most time.Time) {
	t.Helper()
	if got.Before(least) || got.After(most) {
		t.Errorf("%s = %s, want from %s to %s", what, got.UTC(), least.UTC(), most.UTC())
	}
}

// wantSeconds checks the expires_in_seconds of a reply. before and after are the database's time before and after the
// call.
func wantSeconds(t testing.TB, call string, got int64, expires, before, after time.Time) {
	t.Helper()
	least, most := int64(expires.Sub(after)/time.Second), int64(expires.Sub(before)/time.Second)
	if got < least || got > most {
		t.Errorf("%s: expires_in_seconds = %d, want from %d to %d", call, got, least, most)
	}
}
