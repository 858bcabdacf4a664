package grpcserver_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Shutdown answers the current requests of all connections, and refuses new ones.
func TestShutdown(t *testing.T) {
	t.Parallel()
	c := blocking{inside: new(sync.WaitGroup), free: make(chan struct{})}
	d := serve(t, edgeTo(io.Discard), always, grpcserver.Users(c))
	var done sync.WaitGroup
	conns := []*grpc.ClientConn{d.dial(t), d.dial(t), d.dial(t)}
	c.inside.Add(3 * len(conns))
	for i := range 3 * len(conns) {
		done.Go(func() {
			// The request has no deadline. The service ignores the server's deadline.
			if a := get(context.Background(), conns[i%len(conns)], ""); a.Code() != codes.OK {
				t.Errorf("GetUser before the shutdown = %v, want an answer", a)
			}
		})
	}
	c.inside.Wait()
	idle := dialRaw(t, d)
	ended := make(chan bool)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- d.Shutdown(ctx)
	}()
	goAway(idle)
	if a := get(t.Context(), d.dial(t), ""); a.Code() != codes.Unavailable {
		t.Errorf("GetUser on a new connection = %v, want %s", a, codes.Unavailable)
	}
	close(c.free)
	done.Wait()
	if !<-ended {
		t.Error("Shutdown = false, want true: all requests were answered")
	}
}

// goAway answers the server's pings until the connection closes, as an idle client does.
func goAway(idle *raw) {
	for {
		f, err := idle.ReadFrame()
		if err != nil {
			return
		}
		if p, ok := f.(*http2.PingFrame); ok && !p.IsAck() && idle.WritePing(true, p.Data) != nil {
			return
		}
	}
}

// Shutdown cuts off requests that do not end in time.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	d, log := serveFake(t, func(ctx context.Context, _ *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
		close(cut)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	answered := make(chan answer, 1)
	go func() { answered <- get(t.Context(), d.conn, "") }()
	<-cut
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d.Shutdown(ctx) {
		t.Error("Shutdown = true, want false: a call was cut off")
	}
	if a := <-answered; a.Code() != codes.Unavailable && a.Code() != codes.Canceled {
		t.Errorf("GetUser, cut off = %v, want %s", a, codes.Unavailable)
	}
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "canceled")
}

// Silent streams do not delay the shutdown: a reflection stream, a health check without a request, or any other call.
func TestShutdownWithSilentStreams(t *testing.T) {
	t.Parallel()
	d, log := serveFakeWithin(t, rpcserver.Budget, nothing)
	reflection, err := reflectionv1.NewServerReflectionClient(d.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	if err := reflection.Send(list); err != nil {
		t.Fatal(err)
	}
	if _, err := reflection.Recv(); err != nil {
		t.Fatal(err)
	}
	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	if _, err := d.conn.NewStream(t.Context(), both, reflect); err != nil {
		t.Fatal(err)
	}
	call := silent(t.Context(), t, d)
	wantAnswer(t, "GetUser", get(t.Context(), d.conn, ""), codes.OK, "") // the connection is the same, so the server has the other streams
	log.next(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	if !d.Shutdown(ctx) {
		t.Errorf("Shutdown cut off a stream after %v", time.Since(began))
	}
	if r, err := reflection.Recv(); err == nil {
		t.Errorf("the reflection stream is still open: %v", r)
	}
	if err := call.RecvMsg(&databasev1.GetUserResponse{}); answerOf(err).Code() != codes.DeadlineExceeded {
		t.Errorf("GetUser = %v, want %s after %v", err, codes.DeadlineExceeded, rpcserver.Budget)
	}
	log.next(t)
}
