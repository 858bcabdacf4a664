package systemtest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
)

// stubUsers and stubSessions answer without a database.
type (
	stubUsers    struct{ databasev1.UserService }
	stubSessions struct{ databasev1.SessionService }
)

func (stubUsers) GetUser(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	if r.UserId == "" {
		return nil, rpcserver.InvalidArgument("user_id", "is required")
	}
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: r.UserId, Name: "Stub", BanReason: "cheating"}}, nil
}

// RefreshSession returns answers that differ only in what anonymous removes.
func (stubSessions) RefreshSession(context.Context, *databasev1.RefreshSessionRequest) (*databasev1.RefreshSessionResponse, error) {
	n := serial.Add(1)
	return &databasev1.RefreshSessionResponse{Extended: true, Session: &databasev1.Session{
		Id: fmt.Sprint("id", n), UserAgent: fmt.Sprint("browser ", n), ExpiresAt: &timestamppb.Timestamp{Seconds: n}, ExpiresInSeconds: n,
	}}, nil
}

// twist is a fault of a protocol.
type twist func(any, twirp.Error) (any, twirp.Error)

func onError(f func(*publicError)) twist {
	return func(answer any, err twirp.Error) (any, twirp.Error) {
		if err == nil {
			return answer, nil
		}
		e := publicErrorOf(err)
		f(&e)
		return nil, e.error()
	}
}

func onAnswer[A any](f func(A)) twist {
	return func(answer any, err twirp.Error) (any, twirp.Error) {
		if a, ok := answer.(A); ok && err == nil {
			f(a)
		}
		return answer, err
	}
}

func twists() map[string]twist {
	return map[string]twist{
		"another message": onError(func(e *publicError) { e.Msg += "." }),
		"another code":    onError(func(e *publicError) { e.Code = twirp.Malformed }),
		"a meta missing":  onError(func(e *publicError) { delete(e.Meta, "argument") }),
		"a meta more":     onError(func(e *publicError) { e.Meta["host"] = "a" }),
		"another meta":    onError(func(e *publicError) { e.Meta["argument"] = "id" }),
		"another reason":  onError(func(e *publicError) { e.Meta["reason"] = "USER_ID" }),
		"never ready":     onError(func(e *publicError) { *e = publicError{Code: twirp.Unavailable} }),
		"no error": func(answer any, err twirp.Error) (any, twirp.Error) {
			if err != nil {
				answer = &databasev1.GetUserResponse{}
			}
			return answer, nil
		},
		"another field":             onAnswer(func(a *databasev1.GetUserResponse) { a.User.Name = "stub" }),
		"a field missing":           onAnswer(func(a *databasev1.GetUserResponse) { a.User.BanReason = "" }),
		"another answer to a write": onAnswer(func(a *databasev1.RefreshSessionResponse) { a.Extended = false }),
		"an unset field of a write": onAnswer(func(a *databasev1.RefreshSessionResponse) { a.Session.ExpiresAt = nil }),
		"another text from a write": onAnswer(func(a *databasev1.RefreshSessionResponse) { a.Session.UserAgent = "1 browser" }),
		"no seconds left":           onAnswer(func(a *databasev1.RefreshSessionResponse) { a.Session.ExpiresInSeconds = 0 }),
	}
}

// twistedMatrix compares the protocols, of which one is wrong.
func twistedMatrix(t *testing.T, url string, wrong request.Protocol, with twist) *matrix {
	m := newMatrix()
	by := func(protocol request.Protocol, interceptors ...twirp.Interceptor) *clients {
		if protocol == wrong {
			interceptors = append(interceptors, twisting(with))
		}
		return dial(t, url, protocol, interceptors...)
	}
	for _, own := range protocols {
		o := &results{protocol: own, matrix: m, seen: map[result]bool{}}
		others := map[request.Protocol]*clients{}
		for _, protocol := range protocols {
			if protocol != own {
				others[protocol] = by(protocol)
			}
		}
		c := by(own, o.watch(others))
		o.begin("a scenario")
		for _, request := range []any{getUserRequest(""), getUserRequest("a"), &databasev1.RefreshSessionRequest{}} {
			c.call(t.Context(), request)
		}
	}
	return m
}

func twisting(with twist) twirp.Interceptor {
	return func(next twirp.Method) twirp.Method {
		return func(ctx context.Context, request any) (any, error) {
			answer, err := next(ctx, request)
			public, _ := err.(twirp.Error)
			if answer, public = with(answer, public); public != nil {
				return nil, public
			}
			return answer, nil
		}
	}
}

// TestMatrixCanFail checks that the matrix reports each fault of a protocol, and each missing comparison.
func TestMatrixCanFail(t *testing.T) {
	t.Parallel()
	edge := newEdge(io.Discard)
	url := serveProtocols(t, edge, services.Services{Users: stubUsers{}, Sessions: stubSessions{}}, asItIs)
	promised := map[result]bool{
		{rpc: "GetUser"}: true, {"GetUser", argumentFault, ""}: true, {"GetUser", argumentFault, "user_id"}: true,
		{rpc: "RefreshSession"}: true, {rpc: "RefreshSession", detail: "extended=true"}: true,
	}
	sound := twistedMatrix(t, url, "", nil)
	sound.check(t, promised)
	for o := range promised {
		for _, protocol := range protocols {
			m := newMatrix()
			for o, by := range sound.compared {
				m.compared[o] = maps.Clone(by)
			}
			delete(m.compared[o], protocol)
			if !failsAt(func(t testing.TB) { m.check(t, promised) }) {
				t.Errorf("a matrix without %v by %s passed", o, protocol)
			}
		}
	}
	for what, twist := range twists() {
		for _, protocol := range protocols {
			t.Run(what+" by "+string(protocol), func(t *testing.T) {
				t.Parallel()
				m := twistedMatrix(t, url, protocol, twist)
				if !failsAt(func(t testing.TB) { m.check(t, nil) }) {
					t.Error("the matrix did not report it")
				}
			})
		}
	}
}
