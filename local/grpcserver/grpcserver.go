// Package grpcserver serves the services by gRPC, on grpc-go's own transport: through net/http it costs four times as much.
// A method, its limits, its log line and its errors are those of Twirp; only how they are written differs. Nothing of it
// may be linked into a function.
package grpcserver

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/tap"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	// MaxMessage is what gRPC itself refuses, as RESOURCE_EXHAUSTED and without a reason, before it is received. What is over
	// rpcserver.MaxBody and not over this is refused in our words.
	MaxMessage = 4 << 20
	// MaxStreams is how many requests a connection may have at once; the rest waits at the client.
	MaxStreams = 256
	// PingEvery is how often a client may ask whether the connection lives, also without a request. Who asks more often is
	// sent away (GOAWAY, ENHANCE_YOUR_CALM).
	PingEvery = 10 * time.Second

	maxHeaderBytes   = 64 << 10
	handshakeTimeout = 5 * time.Second
	// idleTime is for how long a connection without requests is kept. A client makes the next one when it needs it.
	idleTime = 15 * time.Minute
	// A client of which nothing was heard for probeAfter has probeTimeout to answer, or is taken for dead.
	probeAfter   = time.Minute
	probeTimeout = 10 * time.Second
	// lateness is what a call has beyond its budget: when both are over, it is the budget that ran out and not the caller who went.
	lateness = 50 * time.Millisecond
)

// Server is the protocol.
type Server struct {
	edge   *rpcserver.Server
	grpc   *grpc.Server
	health *health

	stopping context.Context // ends with Shutdown, as do streams that would go on
	stop     func()
}

// New returns a Server whose requests edge bounds, logs and counts. Its health service is not ready where ready, which is
// asked often and by many at once, says so.
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

// Serve serves the connections of l, all of which speak HTTP/2, until Stop or Close.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// NotServing has the health service say so from now on; requests are still served.
func (s *Server) NotServing() { s.health.drain() }

// Shutdown tells callers to go elsewhere with their next requests, and lets those finish that are being served, for as long
// as ctx lasts. It reports whether all did.
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

// bound is asked before a request is read: a caller who sends it slowly has no more time than others. What has no budget,
// reflection and health, ends with the server.
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
	ctx, cancel := context.WithTimeout(ctx, late)
	return bounded{ctx, cancel}, nil
}
