package rpcserver_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

var errNoUser = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")

// getAda answers one user only. The answer says that it came from the cache.
func getAda(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	if r.UserId != "ada" {
		return nil, errNoUser
	}
	request.From(ctx).Class.Cache = "hit"
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: r.UserId}}, nil
}

// quiet returns an edge without a log, and the handler of getAda.
func quiet() (*rpcserver.Server, http.Handler) {
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.Handle(databasev1.UserServicePathPrefix, databasev1.NewUserServiceServer(fake{getUser: getAda}, edge.Options()))
	mux.HandleFunc("/", rpcserver.NotFound)
	return edge, edge.Handler(mux)
}

func postTo(ctx context.Context, h http.Handler, path, contentType, body string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "curl/8.0")
	h.ServeHTTP(httptest.NewRecorder(), r)
}

// direct is a decoded request of another protocol.
type direct struct {
	ctx     context.Context
	message *databasev1.GetUserRequest
}

func (d direct) Class() request.Class {
	return request.Class{Service: "UserService", Method: "GetUser", Protocol: request.GRPC}
}
func (direct) Urgent() bool                               { return false }
func (direct) Credentials() callers.Credentials           { return callers.Credentials{} }
func (direct) Header(string) string                       { return "" }
func (direct) SetHeader(string, string)                   {}
func (direct) Read(context.Context) (int64, twirp.Error)  { return 0, nil }
func (d direct) Message() any                             { return d.message }
func (d direct) Call(ctx context.Context) (any, error)    { return getAda(ctx, d.message) }
func (d direct) Encode(context.Context, any) error        { return nil }
func (d direct) serve(edge *rpcserver.Server) twirp.Error { return edge.Serve(d.ctx, d) }

// watchOne returns what the watcher sees of the one request that send makes.
func watchOne(t *testing.T, send func(*rpcserver.Server, http.Handler)) rpcserver.Finished {
	t.Helper()
	edge, handler := quiet()
	var seen []rpcserver.Finished
	edge.Watch(func(f rpcserver.Finished) { seen = append(seen, f) })
	before := time.Now()
	send(edge, handler)
	if len(seen) != 1 {
		t.Fatalf("the watcher saw %d requests, want 1", len(seen))
	}
	if f := seen[0]; f.ID == "" || f.Start.Before(before) || f.Took <= 0 || f.Took > time.Since(before) {
		t.Errorf("the watcher saw %+v, want an id, the start and a duration", f)
	}
	return seen[0]
}

// TestWatch checks what a watcher sees of requests that end in different ways.
func TestWatch(t *testing.T) {
	t.Parallel()
	class := request.Class{Service: "UserService", Method: "GetUser", Protocol: request.JSON}
	of := func(protocol request.Protocol, code twirp.ErrorCode, cache string) request.Class {
		c := class
		c.Protocol, c.Code, c.Cache = protocol, code, cache
		return c
	}
	ada := &databasev1.GetUserRequest{UserId: "ada"}
	encoded, err := proto.Marshal(ada)
	if err != nil {
		t.Fatal(err)
	}
	answer := &databasev1.GetUserResponse{User: &databasev1.User{Id: "ada"}}
	tooLarge := strings.Repeat(" ", rpcserver.MaxBody+1)
	for name, test := range map[string]struct {
		path, contentType, body string // no path: by gRPC
		want                    rpcserver.Finished
		message                 string
	}{
		"json":     {getUserPath, asJSON, `{"user_id":"ada"}`, rpcserver.Finished{Class: of(request.JSON, "ok", "hit"), Request: ada, Answer: answer}, ""},
		"protobuf": {getUserPath, asProtobuf, string(encoded), rpcserver.Finished{Class: of(request.Protobuf, "ok", "hit"), Request: ada, Answer: answer}, ""},
		"gRPC":     {"", "", "ada", rpcserver.Finished{Class: of(request.GRPC, "ok", "hit"), Request: ada, Answer: answer}, ""},
		"an error": {getUserPath, asJSON, `{"user_id":"bob"}`, rpcserver.Finished{
			Class: of(request.JSON, twirp.NotFound, ""), Reason: "USER_NOT_FOUND", Request: &databasev1.GetUserRequest{UserId: "bob"},
		}, "no such user"},
		"an error by gRPC": {"", "", "bob", rpcserver.Finished{
			Class: of(request.GRPC, twirp.NotFound, ""), Reason: "USER_NOT_FOUND", Request: &databasev1.GetUserRequest{UserId: "bob"},
		}, "no such user"},
		"no JSON": {getUserPath, asJSON, "{", rpcserver.Finished{
			Class: of(request.JSON, twirp.Malformed, ""), Reason: "MESSAGE", Body: []byte("{"),
		}, "the json request could not be decoded"},
		"a wrong field": {getUserPath, asJSON, `{"user_id":1}`, rpcserver.Finished{
			Class: of(request.JSON, twirp.Malformed, ""), Reason: "ARGUMENT", Body: []byte(`{"user_id":1}`),
		}, "user_id is no valid string"},
		"too large": {getUserPath, asJSON, tooLarge, rpcserver.Finished{
			Class: request.Class{Protocol: request.JSON, Code: twirp.Malformed}, Reason: "BODY_TOO_LARGE",
		}, "the body is larger than 1048576 bytes"},
		"no such service": {"/twirp/x", asJSON, "{}", rpcserver.Finished{
			Class: request.Class{Protocol: request.JSON, Code: twirp.BadRoute}, Reason: "ROUTE", Body: []byte("{}"),
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := watchOne(t, func(edge *rpcserver.Server, h http.Handler) {
				if test.path == "" {
					_ = direct{t.Context(), &databasev1.GetUserRequest{UserId: test.body}}.serve(edge)
					return
				}
				test.want.Caller, test.want.Agent = "curl/8.0", "curl/8.0"
				postTo(t.Context(), h, test.path, test.contentType, test.body)
			})
			message := ""
			if got.Error != nil {
				message = got.Error.Msg()
			}
			if message != test.message || (got.Error != nil && (got.Error.Meta("reason") != test.want.Reason || got.Error.Code() != test.want.Class.Code)) {
				t.Errorf("the watcher saw the error %v, want %q", got.Error, test.message)
			}
			got.Error, got.ID, got.Start, got.Took = nil, "", time.Time{}, 0
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("the watcher saw another request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWatchSwitch switches the watcher while requests run. A watcher sees only requests that begin after it was set.
func TestWatchSwitch(t *testing.T) {
	t.Parallel()
	edge, handler := quiet()
	var mu sync.Mutex
	counts := map[string]int{}
	watcher := func(name string) func(rpcserver.Finished) {
		return func(rpcserver.Finished) {
			mu.Lock()
			defer mu.Unlock()
			counts[name]++
		}
	}
	send := func() { postTo(t.Context(), handler, getUserPath, asJSON, `{"user_id":"ada"}`) }
	send()
	edge.Watch(watcher("first"))
	send()
	edge.Watch(watcher("second"))
	send()
	send()
	edge.Watch(nil)
	send()
	if want := map[string]int{"first": 1, "second": 2}; !cmp.Equal(want, counts) {
		t.Errorf("the watchers saw %v, want %v", counts, want)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				send()
			}
		})
	}
	for range 50 {
		edge.Watch(watcher("other"))
		edge.Watch(nil)
	}
	all.Wait()
}

// TestUnwatchedAllocations: without a watcher, a request by another protocol costs the allocation of its state, and those of its answer.
func TestUnwatchedAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts all allocations of the process
	const (
		state      = 1
		answer     = 2   // the answer, and its user
		interfaces = 1   // direct, as rpcserver.Incoming
		sizeClass  = 576 // bytes, with room for a small body; the next one is 640
	)
	edge, _ := quiet()
	in := direct{t.Context(), &databasev1.GetUserRequest{UserId: "ada"}}
	serve := func() { _ = in.serve(edge) }
	never := testing.AllocsPerRun(1000, serve)
	if rpcserver.CallSize > sizeClass {
		t.Errorf("the state of a request has %d bytes, want at most %d", rpcserver.CallSize, sizeClass)
	}
	edge.Watch(func(rpcserver.Finished) {})
	serve()
	edge.Watch(nil)
	if again := testing.AllocsPerRun(1000, serve); never != state+answer+interfaces || again != never {
		t.Errorf("a request allocates %v times before there was a watcher, and %v times after it, want %d", never, again, state+answer+interfaces)
	}
}

// BenchmarkWatch compares requests without a watcher with those that one sees.
func BenchmarkWatch(b *testing.B) {
	for _, of := range []struct {
		name string
		f    func(rpcserver.Finished)
	}{{"off", nil}, {"on", func(rpcserver.Finished) {}}} {
		b.Run(of.name, func(b *testing.B) {
			edge, _ := quiet()
			edge.Watch(of.f)
			in := direct{b.Context(), &databasev1.GetUserRequest{UserId: "ada"}}
			b.ReportAllocs()
			for b.Loop() {
				_ = in.serve(edge)
			}
		})
	}
}
