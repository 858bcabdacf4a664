// Package grpcserver serves the services by gRPC. Methods, limits, log lines and errors are those of Twirp; only the encoding
// differs. It uses grpc-go's own transport, because gRPC through net/http takes four times the CPU. Functions must not link it.
package grpcserver

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
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
	MaxStreams = 100
	// PingEvery is the shortest interval of a client's keepalive pings, also without a request. The server closes the connection
	// of a client that pings more often (GOAWAY, ENHANCE_YOUR_CALM).
	PingEvery = 10 * time.Second

	maxHeaderBytes   = 64 << 10
	handshakeTimeout = 5 * time.Second
	// lateness is the time of a call beyond its budget. The budget must run out first, or the error would say that the caller
	// left.
	lateness = 50 * time.Millisecond
)

// limits are what a connection may take.
type limits struct {
	pingEvery time.Duration
	// age is how long a connection is used, so that clients spread over processes that were started later. A client connects again,
	// and loses no request. grpc-go varies it by 10 %. Requests that still run after ageGrace are cut off.
	age, ageGrace time.Duration
	// takeWithin is the time that a client has to take an answer. net/http's write timeout is the same.
	takeWithin time.Duration
	// maxUnsent and maxUnsentEach bound the bytes of answers that were not taken: of all connections, and of each.
	maxUnsent, maxUnsentEach int64
	// maxStreams bounds the streams without an end: of health watches and of reflection.
	maxStreams int64
}

var defaults = limits{
	pingEvery: PingEvery,
	age:       30 * time.Minute, ageGrace: 10 * time.Second,
	takeWithin: 10 * time.Second,
	maxUnsent:  32 << 20, maxUnsentEach: 4 << 20,
	maxStreams: 512,
}

const (
	// idleTime is how long a connection without requests is kept. The client connects again when it needs to.
	idleTime = 15 * time.Minute
	// The server pings a client that was silent for probeAfter. Without an answer within probeTimeout it closes the connection.
	probeAfter   = time.Minute
	probeTimeout = 10 * time.Second
)

// Server serves the services by gRPC.
type Server struct {
	edge    *rpcserver.Server
	grpc    *grpc.Server
	health  *health
	outbox  *outbox
	streams atomic.Int64 // without an end

	stopping context.Context // ends with Shutdown, and with it the streams without an end
	stop     func()
}

// New returns a Server. edge bounds, logs and counts its requests. ready is the answer of its health service; it is called
// often and concurrently.
func New(edge *rpcserver.Server, ready func() bool, services ...Service) *Server {
	return newServer(edge, ready, defaults, services...)
}

func newServer(edge *rpcserver.Server, ready func() bool, l limits, services ...Service) *Server {
	s := &Server{edge: edge, health: newHealth(ready), outbox: &outbox{limits: l, now: time.Now, count: edge.Unsent}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.Creds(alreadySecure(s.outbox)),
		grpc.ForceServerCodecV2(codec{}),
		grpc.InTapHandle(s.bound),
		grpc.UnknownServiceHandler(s.unknown),
		grpc.StreamInterceptor(s.guardStreams),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTime, MaxConnectionAge: l.age, MaxConnectionAgeGrace: l.ageGrace, Time: probeAfter, Timeout: probeTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: l.pingEvery, PermitWithoutStream: true}),
	)
	for _, service := range services {
		s.grpc.RegisterService(service.describe(s), nil)
		s.health.services[service.name] = true
	}
	s.health.register(s.grpc)
	reflection.Register(s.grpc)
	return s
}

// guardStreams bounds the number of streams, and refuses reflection to callers without the right. Health checks need no identity.
func (s *Server) guardStreams(of any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if !isEndless(info.FullMethod) {
		return next(of, stream) // an unknown method
	}
	if strings.HasPrefix(info.FullMethod, reflectionPrefix) {
		if err := s.edge.Allow(stream.Context(), credentialsOf(stream.Context()), callers.Reflection); err != nil {
			return statusOf(err)
		}
	}
	defer s.streams.Add(-1)
	if s.streams.Add(1) > s.outbox.maxStreams {
		return statusOf(errStreams)
	}
	return next(of, stream)
}

// Stalled returns how many connections were closed because their clients did not take their answers.
func (s *Server) Stalled() uint64 { return s.outbox.stalled.Load() }

// Serve serves the connections of l, all of which speak HTTP/2, until Stop or Close.
func (s *Server) Serve(l net.Listener) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go s.watchOutbox(ctx.Done())
	return s.grpc.Serve(l)
}

// watchOutbox closes connections that do not take their answers, until done is closed.
func (s *Server) watchOutbox(done <-chan struct{}) {
	tick := time.NewTicker(s.outbox.takeWithin / 10)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.outbox.closeLate()
		case <-done:
			return
		}
	}
}

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
	if isEndless(of.FullMethodName) {
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

const reflectionPrefix = "/grpc.reflection."

// isEndless reports whether a method is a stream that may stay open.
func isEndless(fullMethod string) bool {
	return fullMethod == healthv1.Health_Watch_FullMethodName || strings.HasPrefix(fullMethod, reflectionPrefix)
}
