package systemtest_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// announced is a context whose end is told to gRPC's server, while its client waits on.
type announced struct {
	context.Context
	end time.Time
}

// Deadline implements context.Context.
func (a announced) Deadline() (time.Time, bool) { return a.end, true }

// hurried serves the program with requests that have that little time: gRPC's by their callers, Twirp's by whoever runs the
// program, as Lambda does.
func (f *faulty) hurried(by time.Duration) *clients {
	f.Helper()
	around := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), by)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	url := serveProtocols(f, rpcserver.New(slog.New(slog.DiscardHandler)), servicesOf(f.Program), around)
	return f.seen.clients(f, url, func(next twirp.Method) twirp.Method {
		return func(ctx context.Context, request any) (any, error) {
			return next(announced{ctx, time.Now().Add(by)}, request)
		}
	})
}

// lost serves the program with requests whose caller has gone, as where the caller's proxy has lost the caller.
func (f *faulty) lost() *clients {
	f.Helper()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.Trace(canceling{})
	return f.seen.clients(f, serveProtocols(f, edge, servicesOf(f.Program), asItIs))
}

// canceling is a tracer, which may put another context under a request, whatever its protocol.
type canceling struct{}

// Start implements rpcserver.Tracer.
func (canceling) Start(ctx context.Context, _ func(string) string) (context.Context, string) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx, ""
}

// End implements rpcserver.Tracer.
func (canceling) End(context.Context, request.Class) {}

// crowded serves the program with as many bytes of requests being served as there may be.
func (f *faulty) crowded() *clients {
	f.Helper()
	s := servicesOf(f.Program)
	const places = rpcserver.MaxBytes / rpcserver.MaxBody
	room := &holding{SessionService: s.sessions, free: make(chan struct{})}
	s.sessions = room
	room.inside.Add(places)
	url := serveProtocols(f, rpcserver.New(slog.New(slog.DiscardHandler)), s, asItIs)
	crowd := dial(f, url, request.Protobuf)
	var others sync.WaitGroup
	for range places {
		others.Go(func() {
			for !room.isFree() { // a busy machine may be too slow to read it
				_, _ = crowd.sessions.GetSession(f.Context(), heldRequest)
			}
		})
	}
	f.Cleanup(func() { close(room.free); others.Wait() })
	room.inside.Wait()
	return f.seen.clients(f, url)
}

// heldRequest is as large as one may be: the field's number and length are four bytes.
var heldRequest = &databasev1.GetSessionRequest{
	Session: &databasev1.GetSessionRequest_Token{Token: strings.Repeat("x", rpcserver.MaxBody-4)},
}

// holding keeps each heldRequest for as long as it is not free.
type holding struct {
	databasev1.SessionService
	inside sync.WaitGroup
	free   chan struct{}
}

// GetSession implements databasev1.SessionService.
func (h *holding) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	if len(r.GetToken()) == len(heldRequest.GetToken()) {
		h.inside.Done()
		<-h.free
	}
	return h.SessionService.GetSession(ctx, r)
}

func (h *holding) isFree() bool {
	select {
	case <-h.free:
		return true
	default:
		return false
	}
}
