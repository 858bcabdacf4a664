// Package grpcserver serves the services by gRPC. Methods, limits, log lines and errors are those of Twirp; only the encoding
// differs. It uses grpc-go's own transport, because gRPC through net/http takes four times the CPU. Functions must not link it.
package grpcserver

import (
	"context"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/tap"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	// MaxMessage is the size in bytes above which grpc-go refuses a message before it is received: RESOURCE_EXHAUSTED, without a
	// reason. A message between rpcserver.MaxBody and MaxMessage is refused with the reason BODY_TOO_LARGE.
	MaxMessage = 4 << 20
	// MaxStreams is the number of concurrent requests on a connection. Further requests wait in the client.
	MaxStreams = 256
	// PingEvery is the shortest interval of a client's keepalive pings, also without a request. The server closes the connection
	// of a client that pings more often (GOAWAY, ENHANCE_YOUR_CALM).
	PingEvery = 10 * time.Second

	maxHeaderBytes   = 64 << 10
	handshakeTimeout = 5 * time.Second
	// idleTime is how long a connection without requests is kept. The client connects again when it needs to.
	idleTime = 15 * time.Minute
	// The server pings a client that was silent for probeAfter. Without an answer within probeTimeout it closes the connection.
	probeAfter   = time.Minute
	probeTimeout = 10 * time.Second
	// lateness is the time of a call beyond its budget. The budget must run out first, or the error would say that the caller
	// left.
	lateness = 50 * time.Millisecond
)

// Server serves the services by gRPC.
type Server struct {
	edge   *rpcserver.Server
	grpc   *grpc.Server
	health *health

	stopping context.Context // ends with Shutdown, and with it the streams without an end
	stop     func()
}

// New returns a Server. edge bounds, logs and counts its requests. ready is the answer of its health service; it is called
// often and concurrently.
func New(edge *rpcserver.Server, ready func() bool, services ...Service) *Server {
	return newServer(edge, ready, PingEvery, services...)
}

func newServer(edge *rpcserver.Server, ready func() bool, pingEvery time.Duration, services ...Service) *Server {
	s := &Server{edge: edge, health: newHealth(ready)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.Creds(alreadySecure()),
		grpc.ForceServerCodecV2(codec{}),
		grpc.InTapHandle(s.bound),
		grpc.UnknownServiceHandler(s.unknown),
		grpc.StreamInterceptor(s.guardReflection),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleTime, Time: probeAfter, Timeout: probeTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery, PermitWithoutStream: true}),
	)
	for _, service := range services {
		s.grpc.RegisterService(service.describe(s), nil)
		s.health.services[service.name] = true
	}
	s.health.register(s.grpc)
	reflection.Register(s.grpc)
	return s
}

// guardReflection refuses reflection to callers without the right. Health checks need no identity.
func (s *Server) guardReflection(of any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, "/grpc.reflection.") {
		if err := s.edge.Allow(stream.Context(), credentialsOf(stream.Context()), callers.Reflection); err != nil {
			return statusOf(err)
		}
	}
	return next(of, stream)
}

// Serve serves the connections of l, all of which speak HTTP/2, until Stop or Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// NotServing makes the health service answer NOT_SERVING from now on. Requests are still served.
func (s *Server) NotServing() { s.health.drain() }

// Shutdown refuses new requests, and waits until the current ones are answered or ctx ends. It reports whether all were
// answered.
func (s *Server) Shutdown(ctx context.Context) bool {
	s.health.stop()
	s.stop()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return false
	}
}

// bounded is a context with a deadline whose timer ends with the parent.
type bounded struct {
	context.Context
	_ context.CancelFunc // the stream cancels the parent when it ends
}

// bound runs before a request is read, so that the time of a slow sender counts, too. The streams of reflection and health
// have no budget; they end with the server.
func (s *Server) bound(ctx context.Context, of *tap.Info) (context.Context, error) {
	if !isUnary(of.FullMethodName) {
		ctx, cancel := context.WithCancel(ctx)
		forget := context.AfterFunc(s.stopping, cancel)
		context.AfterFunc(ctx, func() { forget() })
		return ctx, nil
	}
	late := s.edge.Budget() + lateness
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= late {
		return ctx, nil
	}
	ctx, cancel := context.WithTimeout(ctx, late) //nolint:gosec // bounded calls cancel
	return bounded{ctx, cancel}, nil
}
