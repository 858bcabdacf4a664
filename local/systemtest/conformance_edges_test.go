package systemtest_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
)

// announced is a context whose deadline is sent to the gRPC server, while the client waits longer.
type announced struct {
	context.Context
	end time.Time
}

// Deadline implements context.Context.
func (a announced) Deadline() (time.Time, bool) { return a.end, true }

// hurried serves the program with short request deadlines. The caller sets them for gRPC, and the host of the program, as
// Lambda does, for Twirp.
func (f *faulty) hurried(by time.Duration) *clients {
	f.Helper()
	around := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), by)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	url := serveProtocols(f, newEdge(io.Discard), services.New(f.Program), around)
	return f.seen.clients(f, url, func(next twirp.Method) twirp.Method {
		return func(ctx context.Context, request any) (any, error) {
			return next(announced{ctx, time.Now().Add(by)}, request)
		}
	})
}

// lost serves the program with requests whose caller has gone, for example behind a proxy.
func (f *faulty) lost() *clients {
	f.Helper()
	edge := newEdge(io.Discard)
	edge.Trace(canceling{})
	return f.seen.clients(f, serveProtocols(f, edge, services.New(f.Program), asItIs))
}

// canceling is a tracer, because a tracer can replace the context of a request for every protocol.
type canceling struct{}

// Start implements rpcserver.Tracer.
func (canceling) Start(ctx context.Context, _ func(string) string) (context.Context, string) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx, ""
}

// End implements rpcserver.Tracer.
func (canceling) End(context.Context, request.Class) {}

// overloaded serves the program while the maximum number of requests is running.
func (f *faulty) overloaded() *clients {
	f.Helper()
	s := services.New(f.Program)
	const places = rpcserver.MaxRequests
	room := &holding{SessionService: s.Sessions, free: make(chan struct{})}
	s.Sessions = room
	room.inside.Add(places)
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.SetBudget(300 * time.Millisecond) // each call waits for a part of it
	edge.FixSlots()
	url := serveProtocols(f, edge, s, asItIs)
	load := dial(f, url, request.Protobuf)
	var others sync.WaitGroup
	for range places {
		others.Go(func() {
			for !room.isFree() && f.Context().Err() == nil { // a busy machine may be too slow to read the request
				_, _ = load.sessions.GetSession(f.Context(), holdingRequest)
			}
		})
	}
	f.Cleanup(func() { close(room.free); others.Wait() })
	room.inside.Wait()
	return f.seen.clients(f, url)
}

var holdingRequest = &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: "hold"}}

// holding blocks each holdingRequest until free is closed.
type holding struct {
	databasev1.SessionService
	inside sync.WaitGroup
	free   chan struct{}
}

// GetSession implements databasev1.SessionService.
func (h *holding) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	if r.GetToken() == holdingRequest.GetToken() {
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
