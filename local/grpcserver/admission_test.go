package grpcserver_test

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// blocking is a UserService whose GetUser waits until free is closed. GetUserBySession, which is urgent, waits only if
// its token is "wait".
type blocking struct {
	databasev1.UserService
	inside *sync.WaitGroup
	free   chan struct{}
}

func (c blocking) GetUser(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	c.inside.Done()
	<-c.free // ignores the deadline
	return &databasev1.GetUserResponse{}, nil
}

func (c blocking) GetUserByEmail(context.Context, *databasev1.GetUserByEmailRequest) (*databasev1.GetUserByEmailResponse, error) {
	return &databasev1.GetUserByEmailResponse{}, nil
}

func (c blocking) GetUserBySession(_ context.Context, r *databasev1.GetUserBySessionRequest) (*databasev1.GetUserBySessionResponse, error) {
	if r.GetToken() == "wait" {
		c.inside.Done()
		<-c.free
	}
	return &databasev1.GetUserBySessionResponse{}, nil
}

// fill starts n requests and returns when the service has received all of them. They wait until free is closed.
func (c blocking) fill(t *testing.T, done *sync.WaitGroup, conns []*grpc.ClientConn, n int, method string, request proto.Message) {
	t.Helper()
	c.inside.Add(n)
	for i := range n {
		done.Go(func() {
			for { // retry: on a machine under load a request may time out before the service receives it
				err := ask(conns[i%len(conns)], method, request)
				select {
				case <-c.free:
					return
				default:
				}
				if status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("%s = %v before it was released", method, err)
					c.inside.Done()
					return
				}
			}
		})
	}
	c.inside.Wait()
}

// ask calls a method of UserService without a deadline.
func ask(conn *grpc.ClientConn, method string, request proto.Message) error {
	return conn.Invoke(context.Background(), pkg+"UserService/"+method, request, &databasev1.GetUserResponse{})
}

// TestTooManyRequests checks that the last eighth of the permitted requests is reserved for urgent ones.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	c := blocking{inside: new(sync.WaitGroup), free: make(chan struct{})}
	d := serve(t, fixed(edgeTo(io.Discard)), always, grpcserver.Users(c))
	var conns []*grpc.ClientConn
	for range rpcserver.MaxRequests/grpcserver.MaxStreams + 1 {
		conns = append(conns, d.dial(t))
	}
	byToken := func(token string) *databasev1.GetUserBySessionRequest {
		return &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}}
	}
	call := func(method string, request proto.Message) answer {
		ctx, cancel := context.WithTimeout(t.Context(), refusedWithin)
		defer cancel()
		return answerOf(d.conn.Invoke(ctx, pkg+"UserService/"+method, request, &databasev1.GetUserResponse{}))
	}
	other := func() answer { return call("GetUserByEmail", &databasev1.GetUserByEmailRequest{}) }
	urgent := func() answer { return call("GetUserBySession", byToken("")) }

	var done sync.WaitGroup
	c.fill(t, &done, conns, rpcserver.MaxRequests*7/8, "GetUser", &databasev1.GetUserRequest{})
	a := other()
	wantAnswer(t, "GetUserByEmail", a, codes.ResourceExhausted, "OVERLOADED")
	if a.Retry.GetRetryDelay().AsDuration() != time.Second {
		t.Errorf("GetUserByEmail = %v, want a retry delay of 1 s", a)
	}
	wantAnswer(t, "GetUserBySession", urgent(), codes.OK, "")
	c.fill(t, &done, conns, rpcserver.MaxRequests/8, "GetUserBySession", byToken("wait"))
	wantAnswer(t, "GetUserBySession", urgent(), codes.ResourceExhausted, "OVERLOADED")
	close(c.free)
	done.Wait()
	wantAnswer(t, "GetUserByEmail afterwards", other(), codes.OK, "")
}

// TestLargeMessages checks that requests with large messages leave room for others.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	c := blocking{inside: new(sync.WaitGroup), free: make(chan struct{})}
	d := serve(t, fixed(edgeTo(io.Discard)), always, grpcserver.Users(c))
	other := func(n int) answer {
		ctx, cancel := context.WithTimeout(t.Context(), refusedWithin)
		defer cancel()
		return answerOf(d.conn.Invoke(ctx, pkg+"UserService/GetUserByEmail", requestOf(n), &databasev1.GetUserResponse{}))
	}
	var done sync.WaitGroup
	c.fill(t, &done, []*grpc.ClientConn{d.dial(t)}, rpcserver.MaxRequests/4/(1+rpcserver.MaxBody>>16), "GetUser", requestOf(rpcserver.MaxBody))
	wantAnswer(t, "a large GetUserByEmail", other(rpcserver.MaxBody), codes.ResourceExhausted, "OVERLOADED")
	wantAnswer(t, "GetUserByEmail", other(10), codes.OK, "")
	close(c.free)
	done.Wait()
	wantAnswer(t, "a large GetUserByEmail afterwards", other(rpcserver.MaxBody), codes.OK, "")
}

// TestMessagesThatDoNotCome reproduces A3 of the security review: requests without a message must take no slot, whatever they call.
func TestMessagesThatDoNotCome(t *testing.T) {
	t.Parallel()
	for what, method := range map[string]string{"ordinary": "GetUser", "urgent": "GetUserBySession"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			edge := fixed(edgeTo(io.Discard))
			c := blocking{inside: new(sync.WaitGroup), free: make(chan struct{})}
			d := serve(t, edge, always, grpcserver.Users(c))
			const n = 700 // more than there are slots
			var conn *grpc.ClientConn
			for i := range n {
				if i%grpcserver.MaxStreams == 0 {
					conn = d.dial(t)
				}
				both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
				if _, err := conn.NewStream(t.Context(), both, pkg+"UserService/"+method); err != nil {
					t.Fatal(err)
				}
			}
			for end := time.Now().Add(patience); edge.Readers().Inside < n; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("%d of %d requests are being read", edge.Readers().Inside, n)
				}
			}
			if inside := edge.InFlight(); inside != 0 {
				t.Errorf("%d requests without a message hold a slot", inside)
			}
			wantAnswer(t, "GetUserByEmail", answerOf(ask(d.conn, "GetUserByEmail", &databasev1.GetUserByEmailRequest{})), codes.OK, "")
			wantAnswer(t, "GetUserBySession", answerOf(ask(d.conn, "GetUserBySession", &databasev1.GetUserBySessionRequest{})), codes.OK, "")
		})
	}
}

// refusedWithin is the deadline of a call that is to be refused. It is refused after a part of it.
const refusedWithin = 5 * time.Second

// fixed returns the edge with a number of slots that does not follow the CPU.
func fixed(edge *rpcserver.Server) *rpcserver.Server {
	edge.FixSlots()
	return edge
}
