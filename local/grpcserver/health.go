package grpcserver

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// watchEvery is the interval at which the status is checked for all watchers.
const watchEvery = time.Second

// health is grpc.health.v1.Health. All services share a database, so they have one status.
type health struct {
	healthv1.UnimplementedHealthServer
	ready    func() bool
	services map[string]bool // the known names; "" is the server
	draining chan struct{}   // closed: NOT_SERVING from now on
	stopping chan struct{}   // closed: Watch ends
	drain    func()
	stop     func()

	mu       sync.Mutex
	watchers int
	left     chan struct{} // closed when the last watcher leaves
	ticked   chan struct{} // closed at the next tick
}

func newHealth(ready func() bool) *health {
	h := &health{ready: ready, services: map[string]bool{"": true}, draining: make(chan struct{}), stopping: make(chan struct{})}
	h.drain = sync.OnceFunc(func() { close(h.draining) })
	h.stop = sync.OnceFunc(func() { h.drain(); close(h.stopping) })
	return h
}

func (h *health) register(s *grpc.Server) { healthv1.RegisterHealthServer(s, h) }

func (h *health) status() healthv1.HealthCheckResponse_ServingStatus {
	select {
	case <-h.draining:
		return healthv1.HealthCheckResponse_NOT_SERVING
	default:
	}
	if !h.ready() {
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}

// Check implements healthv1.HealthServer.
func (h *health) Check(_ context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if !h.services[r.Service] {
		return nil, status.Error(codes.NotFound, "no such service")
	}
	return &healthv1.HealthCheckResponse{Status: h.status()}, nil
}

// List implements healthv1.HealthServer.
func (h *health) List(context.Context, *healthv1.HealthListRequest) (*healthv1.HealthListResponse, error) {
	all, is := map[string]*healthv1.HealthCheckResponse{}, h.status()
	for name := range h.services {
		all[name] = &healthv1.HealthCheckResponse{Status: is}
	}
	return &healthv1.HealthListResponse{Statuses: all}, nil
}

// Watch implements healthv1.HealthServer. It sends the status, and then each change.
func (h *health) Watch(r *healthv1.HealthCheckRequest, stream grpc.ServerStreamingServer[healthv1.HealthCheckResponse]) error {
	defer h.join()()
	draining := h.draining
	for last := healthv1.HealthCheckResponse_UNKNOWN; ; {
		ticked := h.nextTick()
		is := healthv1.HealthCheckResponse_SERVICE_UNKNOWN // required by the protocol: the service may be added later
		if h.services[r.Service] {
			is = h.status()
		}
		if is != last {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: is}); err != nil {
				return err
			}
			last = is
		}
		select {
		case <-ticked:
		case <-draining:
			draining = nil // check the status once more, now
		case <-h.stopping:
			return errStopping
		case <-stream.Context().Done():
			return h.gone(stream.Context())
		}
	}
}

// join adds a watcher. The first one starts the ticker that all share. It ends after the last one has left.
func (h *health) join() (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers++; h.watchers == 1 {
		h.left, h.ticked = make(chan struct{}), make(chan struct{})
		go h.tick(h.left)
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.watchers--; h.watchers == 0 {
			close(h.left)
		}
	}
}

// nextTick returns a channel that is closed when it is time to check the status again.
func (h *health) nextTick() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ticked
}

// tick wakes all watchers at each tick until left is closed.
func (h *health) tick(left <-chan struct{}) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-left:
			return
		}
		h.mu.Lock()
		if h.left == left { // or the ticker of later watchers does it
			close(h.ticked)
			h.ticked = make(chan struct{})
		}
		h.mu.Unlock()
	}
}

var errStopping = status.Error(codes.Unavailable, "the server is being stopped")

// gone returns the error for a watcher whose stream has ended. A stopping server ends the stream, too.
func (h *health) gone(ctx context.Context) error {
	select {
	case <-h.stopping:
		return errStopping
	default:
		return status.FromContextError(ctx.Err()).Err()
	}
}
