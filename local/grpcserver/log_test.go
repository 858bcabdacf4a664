package grpcserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A request has one log line, with its protocol, its caller and its cache status.
func TestLog(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	user := e.AddUser(t, "Alice")
	log := make(lines, 100)
	d := serve(t, edgeTo(log), always, all(e.Program)...)
	for agent, want := range map[string]string{
		"osirose-login/1.2": "osirose-login/1.2", "grpc-go/" + grpc.Version: "grpc-go/" + grpc.Version, canary: "", "10.0.0.1": "",
	} {
		c := d.dial(t, grpc.WithUserAgent(agent))
		if a := get(t.Context(), c, "nobody"); a.Code() != codes.NotFound && a.Code() != codes.Unavailable {
			t.Errorf("GetUser = %v, want %s", a, codes.NotFound)
		}
		if got := log.next(t); got.Caller != want || got.RPC != "UserService/GetUser" {
			t.Errorf("user agent %q: logged %s, want caller %q", agent, got.raw, want)
		}
	}
	statuses := map[string]bool{}
	for range 30 { // on a busy machine the first fills of the cache may time out
		get(t.Context(), d.conn, user)
		if got := log.next(t); got.Code == "ok" {
			statuses[got.Cache] = true
		}
		if statuses["hit"] {
			break
		}
	}
	if !statuses["hit"] || len(statuses) < 2 {
		t.Errorf("logged the cache statuses %v, want hit, and before that another status", statuses)
	}
}

// span is a request as the tracer saw it.
type span struct {
	parent string
	class  request.Class
}

// tracer is a minimal tracer: it keeps the current span in the context.
type tracer struct {
	mu    sync.Mutex
	ended []span
}

type spanKey struct{}

func (tr *tracer) Start(ctx context.Context, header func(string) string) (context.Context, string) {
	parent := header("traceparent")
	response := ""
	if parent != "" {
		response = "response to " + parent
	}
	return context.WithValue(ctx, spanKey{}, parent), response
}

func (tr *tracer) End(ctx context.Context, c request.Class) {
	parent, _ := ctx.Value(spanKey{}).(string)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ended = append(tr.ended, span{parent, c})
}

func TestTrace(t *testing.T) {
	t.Parallel()
	tr := &tracer{}
	log := make(lines, 10)
	edge := edgeTo(log)
	edge.Trace(tr)
	seen := ""
	d := serve(t, edge, always, grpcserver.Users(fake{getUser: func(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		seen, _ = ctx.Value(spanKey{}).(string)
		if r.UserId != "" {
			return nil, rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
		}
		return &databasev1.GetUserResponse{}, nil
	}}))
	for user, code := range map[string]codes.Code{"": codes.OK, "x": codes.NotFound} {
		tr.ended, seen = nil, ""
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-the-trace"+user)
		if a := get(ctx, d.conn, user, grpc.Header(&header)); a.Code() != code {
			t.Errorf("GetUser = %v, want %s", a, code)
		}
		logged := log.next(t)
		if got := header.Get(rpcserver.TraceResponse); len(got) != 1 || got[0] != "response to 00-the-trace"+user || seen != "00-the-trace"+user {
			t.Errorf("%s: %q, and the method saw %q; want the same trace in both", rpcserver.TraceResponse, got, seen)
		}
		want := span{"00-the-trace" + user, request.Class{Service: "UserService", Method: "GetUser", Protocol: request.GRPC, Code: twirp.ErrorCode(logged.Code)}}
		if len(tr.ended) != 1 || tr.ended[0] != want {
			t.Errorf("the tracer got %v, want %v", tr.ended, want)
		}
	}
}

func TestTraceOfRefusedRequests(t *testing.T) {
	t.Parallel()
	tr, log := &tracer{}, make(lines, 10)
	edge := edgeTo(log)
	edge.Trace(tr)
	d := serve(t, edge, always, grpcserver.Users(fake{getUser: nothing}))
	for what, test := range map[string]struct {
		path, message string
		want          twirp.ErrorCode
	}{"an unknown route": {pkg + "UserService/No", "", twirp.BadRoute}, "no protobuf": {getUser, "\xff", twirp.Malformed}} {
		tr.ended = nil
		response, _ := post(t, d, test.path, "application/grpc", framed(0, test.message), "Traceparent", "its")
		log.next(t)
		if got := response.Header.Get(rpcserver.TraceResponse); got != "response to its" || len(tr.ended) != 1 || tr.ended[0].class.Code != test.want {
			t.Errorf("%s: %s %q, and the tracer got %v; want %s", what, rpcserver.TraceResponse, got, tr.ended, test.want)
		}
	}
	response, _ := post(t, d, getUser, "application/grpc", framed(0, ""))
	log.next(t)
	if got, has := response.Header[http.CanonicalHeaderKey(rpcserver.TraceResponse)]; has {
		t.Errorf("a request without a trace: %s %q, want none", rpcserver.TraceResponse, got)
	}
}

// observer counts the requests of each class.
type observer struct {
	mu    sync.Mutex
	asked map[request.Class]int
	count map[request.Class]int
}

func (o *observer) Class(c request.Class) func(time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[c]++
	return func(time.Duration) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.count[c]++
	}
}

func TestObserver(t *testing.T) {
	t.Parallel()
	o := &observer{asked: map[request.Class]int{}, count: map[request.Class]int{}}
	log := make(lines, 100)
	edge := edgeTo(log)
	edge.Observe(o)
	d := serve(t, edge, always, grpcserver.Users(fake{getUser: nothing}))
	for range 3 {
		get(t.Context(), d.conn, "")
		post(t, d, "/"+strings.Repeat("x", 10)+"/y", "application/grpc", framed(0, ""))
		log.next(t)
		log.next(t)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range []request.Class{
		{Service: "UserService", Method: "GetUser", Protocol: request.GRPC, Code: "ok"}, {Protocol: request.GRPC, Code: twirp.BadRoute},
	} {
		if o.asked[c] != 1 || o.count[c] != 3 {
			t.Errorf("%v: requested %d times and counted %d times, want 1 and 3 of %v", c, o.asked[c], o.count[c], o.count)
		}
	}
}

// A read whose caller leaves before its end counts as canceled, although the service has an answer: the log samples those.
func TestLogOfGoneCaller(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	d, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		close(entered)
		<-ctx.Done()
		return &databasev1.GetUserResponse{}, nil
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-entered
		leave()
	}()
	wantAnswer(t, "GetUser", get(ctx, d.conn, ""), codes.Canceled, "")
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "canceled")
}
