package grpcserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience bounds the wait for an event that comes immediately or never.
const patience = time.Minute

func always() bool { return true }

// protocol is a running server and a connection to it.
type protocol struct {
	*grpcserver.Server
	addr string
	conn *grpc.ClientConn
}

// serve serves on a new port until the test ends.
func serve(t testing.TB, edge *rpcserver.Server, ready func() bool, services ...grpcserver.Service) *protocol {
	t.Helper()
	return serveServer(t, grpcserver.New(edge, ready, services...))
}

func serveServer(t testing.TB, s *grpcserver.Server) *protocol {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &protocol{Server: s, addr: l.Addr().String()}
	served := make(chan error, 1)
	go func() { served <- d.Serve(l) }()
	d.conn = d.dial(t)
	t.Cleanup(func() {
		_ = d.conn.Close() // fails if the test has closed it
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil after Shutdown", err)
		}
	})
	return d
}

// dial returns another connection, which connects when it is first used.
func (d *protocol) dial(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(d.addr, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// edgeTo returns an edge that logs to w. Its requests have the stretched budget.
func edgeTo(w io.Writer) *rpcserver.Server {
	return edgeWithin(testenv.RequestBudget, w)
}

// edgeWithin returns an edge whose requests have the budget.
func edgeWithin(budget time.Duration, w io.Writer) *rpcserver.Server {
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(w, nil)))
	edge.SetBudget(budget)
	edge.LogAll()
	return edge
}

// all returns the services of p.
func all(p *app.Program) []grpcserver.Service {
	s := services.New(p)
	return grpcserver.All(s.Users, s.Characters, s.Sessions, s.Staff)
}

// fake is a UserService whose GetUser a test provides.
type fake struct {
	databasev1.UserService
	getUser func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error)
}

func (f fake) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return f.getUser(ctx, r)
}

const (
	pkg     = "/osirose.database.v1."
	getUser = pkg + "UserService/GetUser"
	canary  = "canary-4711@example.com"
)

// serveFake serves the method and returns the log. The test must read all of the log's lines.
func serveFake(t testing.TB, f getUserFunc) (*protocol, lines) {
	t.Helper()
	return serveFakeWithin(t, testenv.RequestBudget, f)
}

type getUserFunc func(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error)

// serveFakeWithin is serveFake with another budget.
func serveFakeWithin(t testing.TB, budget time.Duration, f getUserFunc) (*protocol, lines) {
	t.Helper()
	log := make(lines, 10_000)
	t.Cleanup(func() { // after the server has stopped
		for len(log) > 0 {
			t.Errorf("one line too many in the log: %s", <-log)
		}
	})
	return serve(t, edgeWithin(budget, log), always, grpcserver.Users(fake{getUser: f})), log
}

// nothing returns an empty answer.
func nothing(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{}, nil
}

// answer is the status that a caller gets.
type answer struct {
	*status.Status
	Info  *errdetails.ErrorInfo // nil: none
	Retry *errdetails.RetryInfo // nil: none
}

func (a answer) String() string { return fmt.Sprintf("%s %q %v", a.Code(), a.Message(), a.Details()) }

// text returns all text in the answer.
func (a answer) text() string { return a.Message() + fmt.Sprint(a.Proto()) }

func answerOf(err error) answer {
	a := answer{Status: status.Convert(err)}
	for _, detail := range a.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			a.Info = detail
		case *errdetails.RetryInfo:
			a.Retry = detail
		}
	}
	return a
}

// get calls GetUser.
func get(ctx context.Context, c grpc.ClientConnInterface, user string, options ...grpc.CallOption) answer {
	return answerOf(c.Invoke(ctx, getUser, &databasev1.GetUserRequest{UserId: user}, &databasev1.GetUserResponse{}, options...))
}

// call retries a request while the database does not answer in time, as callers do: on a machine under load a statement
// may time out.
func call(t testing.TB, c grpc.ClientConnInterface, method string, request, response proto.Message) (a answer) {
	t.Helper()
	for range 30 {
		a = answerOf(c.Invoke(t.Context(), method, request, response))
		if a.Code() != codes.Unavailable && a.Code() != codes.DeadlineExceeded {
			break
		}
	}
	return a
}

// inner matches what no caller may see: SQL, names of libraries, addresses, types and source positions.
var inner = regexp.MustCompile(`(?i)\b(select|insert into|update|delete from|from game|game\.|sqlstate)\b|pgx|pgconn|postgres|redis|127\.0\.0\.1|localhost|databasev1|\*\w+\.\w+|goroutine|\.go:|runtime error|proto:|json:`)

// wantNoLeak checks that an error contains no internals and none of the canaries, which were sent.
func wantNoLeak(t testing.TB, call string, a answer, canaries ...string) {
	t.Helper()
	if found := inner.FindString(a.text()); a.Code() != codes.OK && found != "" {
		t.Errorf("%s = %v, which leaks %q", call, a, found)
	}
	for _, c := range canaries {
		if strings.Contains(strings.ToLower(a.text()), strings.ToLower(c)) {
			t.Errorf("%s = %v, which repeats %q", call, a, c)
		}
	}
}

// wantAnswer checks an error's code and the reason in its ErrorInfo. If reason is empty, the error must have no
// ErrorInfo.
func wantAnswer(t testing.TB, call string, a answer, code codes.Code, reason string) {
	t.Helper()
	if a.Code() != code || a.Info.GetReason() != reason || (a.Info == nil) != (reason == "") {
		t.Errorf("%s = %v, want %s reason=%q", call, a, code, reason)
	}
	if a.Info != nil && a.Info.Domain != grpcserver.Domain {
		t.Errorf("%s = %v, want the domain %s", call, a, grpcserver.Domain)
	}
	wantNoLeak(t, call, a)
}

// lines is a log that a test reads line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

type line struct {
	Level, Msg, RPC, Protocol, Code, Cache, Request, Caller, Cause string
	MS                                                             *float64
	raw                                                            string
}

// next waits for the next line. Every request has one.
func (l lines) next(t testing.TB) line {
	t.Helper()
	select {
	case raw := <-l:
		return parseLine(t, raw)
	case <-time.After(patience):
		t.Fatal("no line in the log")
		return line{}
	}
}

func parseLine(t testing.TB, raw string) line {
	t.Helper()
	got := line{raw: raw}
	if err := json.Unmarshal([]byte(raw), &got); err != nil || got.MS == nil || *got.MS < 0 || got.Request == "" || got.Msg != "request" || got.Protocol != "grpc" {
		t.Errorf("log line %s: %v, want msg request, protocol grpc, ms and request", raw, err)
	}
	return got
}

// wantLine checks the level, rpc and code of a log line.
func wantLine(t testing.TB, call string, got line, level, rpc, code string) {
	t.Helper()
	if got.Level != level || got.RPC != rpc || got.Code != code {
		t.Errorf("%s logged %s, want level %s, rpc %q, code %s", call, got.raw, level, rpc, code)
	}
}
