package proof_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/users"
)

func TestMain(m *testing.M) {
	crashIfAsked()
	_ = flag.Set("rapid.checks", "30") // each is many calls here; the command line still has the last word
	testenv.Main(m)
}

// clients are a program's three services as a caller sees them.
type clients struct {
	users      databasev1.UserService
	sessions   databasev1.SessionService
	characters databasev1.CharacterDbService
	url        string
	transport  *http.Transport
}

// handlers are all services of p, for an edge to mount.
func handlers(p *boot.Program) func(twirp.ServerOption) []testenv.Handler {
	return func(o twirp.ServerOption) []testenv.Handler {
		c := p.Config
		return []testenv.Handler{
			databasev1.NewUserServiceServer(users.NewService(users.NewRepository(p.DB, p.Cache), c.Sessions.Verifier, c.Sessions.RefuseSessionID), o),
			databasev1.NewCharacterDbServiceServer(characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config(c.Characters)), o),
			databasev1.NewSessionServiceServer(sessions.NewService(sessions.NewRepository(p.DB), sessions.Config(c.Sessions)), o),
		}
	}
}

// serve puts all services of p on one listener.
func serve(t testing.TB, p *boot.Program) *clients { return serveLog(t, io.Discard, p) }

// serveLog is serve with the log written to w.
func serveLog(t testing.TB, w io.Writer, p *boot.Program) *clients {
	t.Helper()
	url := testenv.ServeLog(t, w, handlers(p))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return &clients{
		users:      databasev1.NewUserServiceProtobufClient(url, client),
		sessions:   databasev1.NewSessionServiceProtobufClient(url, client),
		characters: databasev1.NewCharacterDbServiceProtobufClient(url, client),
		url:        url,
		transport:  transport,
	}
}

// env is a testenv.Env and its program's services.
type env struct {
	*testenv.Env
	*clients
}

// start starts an env on a kind of Redis.
func start(t testing.TB, redisKind string) *env {
	t.Helper()
	e := testenv.New(t, testenv.Variants[0], redisKind)
	return &env{e, serve(t, e.Program)}
}

// eachRedis runs f on every kind of Redis there is.
func eachRedis(t *testing.T, f func(t *testing.T, e *env)) {
	t.Helper()
	for _, kind := range testenv.RedisKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, start(t, kind))
		})
	}
}

var serial atomic.Int64

// newName is one that no other test has, fit for a user and for a character.
func newName() string { return fmt.Sprintf("Proof%d", serial.Add(1)) }

// fault is what a caller can tell errors apart by.
type fault struct {
	code   twirp.ErrorCode
	reason string
}

var (
	none        = fault{}
	unavailable = fault{twirp.Unavailable, "DATABASE_UNAVAILABLE"}
)

func faultOf(err error) fault {
	if err == nil {
		return none
	}
	if e, ok := errors.AsType[twirp.Error](err); ok {
		return fault{e.Code(), e.Meta("reason")}
	}
	return fault{twirp.Unknown, err.Error()}
}

// wantFault fails the test where err is another fault than want.
func wantFault(t testing.TB, call string, err error, want fault) {
	t.Helper()
	if got := faultOf(err); got != want {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

// patiently calls again where a busy machine was too slow for a request's budgets.
func patiently[Q, A any](t testing.TB, call func(context.Context, Q) (A, error), request Q) (A, error) {
	t.Helper()
	for {
		a, err := call(t.Context(), request)
		if code := faultOf(err).code; code != twirp.Unavailable && code != twirp.DeadlineExceeded || t.Context().Err() != nil {
			return a, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// eventually waits until is, for as long as the test may run.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for !is() {
		if t.Context().Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
