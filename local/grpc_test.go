package main

import (
	"context"
	"crypto/tls"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

const (
	getUserMethod    = "/osirose.database.v1.UserService/GetUser"
	getSessionMethod = "/osirose.database.v1.SessionService/GetSession"
)

// dial makes a gRPC connection. It retries only calls that the server has not started, which HTTP/2 guarantees.
func (p *program) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	secure := insecure.NewCredentials()
	if strings.HasPrefix(p.url, "https:") {
		secure = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) // the test's own certificate
	}
	_, host, _ := strings.Cut(p.url, "://")
	c, err := grpc.NewClient(host, grpc.WithTransportCredentials(secure), grpc.WithDisableServiceConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// getUser retries while the answer is that the deadline has passed or the database is busy: the machine may be under
// load.
func getUser(t *testing.T, c *grpc.ClientConn, id string) (*databasev1.User, error) {
	t.Helper()
	for {
		var answer databasev1.GetUserResponse
		err := c.Invoke(context.WithoutCancel(t.Context()), getUserMethod, &databasev1.GetUserRequest{UserId: id}, &answer)
		if code := status.Code(err); code != codes.DeadlineExceeded && !isBusy(err) {
			return answer.User, err
		}
	}
}

// isBusy reports whether UNAVAILABLE comes from the program and not from the connection.
func isBusy(err error) bool {
	return status.Code(err) == codes.Unavailable && len(status.Convert(err).Details()) > 0
}

func TestBothProtocols(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, append(outside(e), "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99"))
	c := p.dial(t)
	for range 3 {
		if got, err := getUser(t, c, user); err != nil || got.GetId() != user {
			t.Errorf("GetUser by gRPC = %v, %v, want the user", got, err)
		}
		if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != 200 || at(answer, "user", "id") != user {
			t.Errorf("GetUser by Twirp: got %d %v, want the user", code, answer)
		}
	}
	if _, err := getUser(t, c, "nobody"); status.Code(err) != codes.NotFound {
		t.Errorf("GetUser(nobody) by gRPC = %v, want %s", err, codes.NotFound)
	}
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
	wantText(t, &p.stderr, `"rpc":"UserService/GetUser","protocol":"grpc","code":"ok"`, `"protocol":"json","code":"ok"`, `"code":"not_found"`)
	for line := range strings.Lines(p.stderr.String()) { // grpc-go's own lines would contain addresses
		if !strings.HasPrefix(line, "{") {
			t.Errorf("the log contains %q, want only lines of the program", line)
		}
	}
}

// TestGraceGRPC checks that the program still answers calls while its health is NOT_SERVING.
func TestGraceGRPC(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, outside(e), "-grace", "1h")
	c := p.dial(t)
	health := healthv1.NewHealthClient(c)
	stream, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: "osirose.database.v1.UserService"})
	if err != nil {
		t.Fatal(err)
	}
	for got := healthv1.HealthCheckResponse_UNKNOWN; got != healthv1.HealthCheckResponse_SERVING; {
		r, err := stream.Recv() // under load the first status may be NOT_SERVING
		if err != nil {
			t.Fatal(err)
		}
		got = r.Status
	}
	p.signal(t, syscall.SIGTERM)
	if r, err := stream.Recv(); err != nil || r.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("Watch after the signal: %v, %v, want NOT_SERVING", r, err)
	}
	if r, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || r.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("Check after the signal: %v, %v, want NOT_SERVING", r, err)
	}
	for _, c := range []*grpc.ClientConn{c, p.dial(t)} { // also on a new connection
		if got, err := getUser(t, c, user); err != nil || got.GetId() != user {
			t.Errorf("GetUser during -grace = %v, %v, want the user", got, err)
		}
	}
}

// TestDrainGRPC sends the signal while a call waits in the database. The program answers the call and then exits.
func TestDrainGRPC(t *testing.T) {
	t.Parallel()
	for try := 0; ; try++ { // on a machine under load the request may time out
		e := testenv.New(t, "plugins", "miniredis")
		_, token := e.AddSession(t, e.AddUser(t, "Alice"), time.Hour)
		b := block(t, e, start(t, outside(e)))
		c := b.program.dial(t)
		request := &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}}
		answered := make(chan error, 1)
		go func() {
			answered <- c.Invoke(context.WithoutCancel(t.Context()), getSessionMethod, request, &databasev1.GetSessionResponse{})
		}()
		select {
		case <-b.arrived:
		case err := <-answered:
			t.Fatalf("GetSession = %v before its statement reached the database", err)
		}
		b.program.signal(t, syscall.SIGTERM)
		eventually(t, "new connections to be refused", func() bool { return !accepts(b.program.url) })
		b.release()
		err := <-answered
		b.program.wantExit(t, 0)
		if isBusy(err) && try < 5 {
			continue
		}
		if err != nil {
			t.Errorf("GetSession = %v, want an answer", err)
		}
		if strings.Contains(b.program.stderr.String(), "cut off") {
			t.Errorf("the log: %s", &b.program.stderr)
		}
		return
	}
}
