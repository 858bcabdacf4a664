package systemtest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// machineChecks is the number of random histories in TestStateMachine. Each makes many calls.
var machineChecks = "10"

func TestMain(m *testing.M) {
	crashIfAsked()
	_ = flag.Set("rapid.checks", machineChecks) // the command line overrides it
	testenv.Main(m)
}

// newEdge returns a server that gives requests the stretched budget and writes its log to w.
func newEdge(w io.Writer) *rpcserver.Server {
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(w, nil)))
	edge.SetBudget(testenv.RequestBudget)
	return edge
}

// serve puts all services of p on one port.
func serve(t testing.TB, p *app.Program) *clients { return serveLog(t, io.Discard, p) }

// serveLog is serve with the log written to w.
func serveLog(t testing.TB, w io.Writer, p *app.Program) *clients {
	t.Helper()
	return dial(t, serveProtocols(t, newEdge(testenv.Watched(t, "a log line", w)), services.New(p), asItIs), request.Protobuf)
}

// env is a testenv.Env and its program's services.
type env struct {
	*testenv.Env
	*clients
}

// start starts an env on a kind of Redis.
func start(t testing.TB, redisKind string, changes ...func(*app.Options)) *env {
	t.Helper()
	e := testenv.New(t, testenv.Variants[0], redisKind, changes...)
	return &env{e, serve(t, e.Program)}
}

// eachRedis runs f on every kind of Redis.
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

// newName returns a name that no other test uses, valid for a user and a character.
func newName() string { return fmt.Sprintf("Gamer%d", serial.Add(1)) }

// fault is the code and the reason of an error.
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

// wantFault fails the test unless err has the fault want.
func wantFault(t testing.TB, call string, err error, want fault) {
	t.Helper()
	if got := faultOf(err); got != want {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

// patiently repeats a call if a busy machine was too slow for a request's budgets.
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

// eventually waits until is returns true, for as long as the test may run.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for !is() {
		if t.Context().Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
