package calls_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const getUser = "UserService/GetUser"

// fake is a UserService with one user, whose name is as long as the test wants.
type fake struct {
	databasev1.UserService
	name string
}

func (f fake) GetUser(_ context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	if r.UserId != "ada" {
		return nil, rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no user "+r.UserId)
	}
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: r.UserId, Name: f.name}}, nil
}

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// recorded is a Recorder of a fake service.
type recorded struct {
	*calls.Recorder
	clock *clock
	calls.Sender
}

func record(t *testing.T, o calls.Options, f fake) recorded {
	t.Helper()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(testenv.RequestBudget)
	edge.FixSlots()
	r := recorded{clock: &clock{now: time.Unix(1e9, 0)}}
	o.Now = r.clock.Now
	r.Recorder = calls.NewRecorder(edge, o)
	r.HTTP = edge.Handler(databasev1.NewUserServiceServer(f, edge.Options()))
	return r
}

// get sends GetUser in JSON.
func (r recorded) get(t *testing.T, id string) calls.Result {
	t.Helper()
	result, err := r.Send(t.Context(), calls.Request{RPC: getUser, Protocol: request.JSON, JSON: fmt.Appendf(nil, `{"user_id":%q}`, id)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// raw posts any body to GetUser.
func (r recorded) raw(t *testing.T, contentType, body string) {
	t.Helper()
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/twirp/osirose.database.v1."+getUser, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Content-Type", contentType)
	response, err := calls.Transport{Handler: r.HTTP}.RoundTrip(post)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// numbers returns the numbers of the listed calls.
func (r recorded) numbers(f calls.Filter) (all []uint64) {
	for _, c := range r.List(f) {
		all = append(all, c.Number)
	}
	return all
}

// serve serves the services of p by all protocols.
func serve(t *testing.T, p *app.Program) calls.Sender {
	t.Helper()
	s := services.New(p)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, served := grpcserver.New(p.Edge(), func() bool { return true }, grpcserver.All(s.Users, s.Characters, s.Sessions, s.Staff)...), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		server.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil after Shutdown", err)
		}
	})
	return calls.Sender{HTTP: s.Handler(p.Edge()), GRPC: conn}
}

// send retries a request while the answer is unavailable, as callers do: on a machine under load a statement may time out.
func send(t *testing.T, s calls.Sender, r calls.Request) (result calls.Result) {
	t.Helper()
	for range 30 {
		var err error
		if result, err = s.Send(t.Context(), r); err != nil {
			t.Fatalf("send %s by %s: %v", r.RPC, r.Protocol, err)
		}
		if result.Code != twirp.Unavailable && result.Code != twirp.DeadlineExceeded {
			break
		}
	}
	return result
}
