// Package rpcserver is the edge that all services share. It bounds each request in time and size, sheds load, writes one log
// line for each request, and hides every error that was not written for the caller.
//
// It owns the request's record; see package request.
package rpcserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/request"
)

const (
	// Budget is the time of one request (see Server.SetBudget).
	Budget = time.Second
	// MaxBody is the largest size of a request's body in bytes.
	MaxBody = 1 << 20
	// grace is added to the budget for the read deadline of the caller's connection. The budget must run out first, or
	// the error would say that the caller left.
	grace = 50 * time.Millisecond
)

// Server wraps the services of one program.
type Server struct {
	budget  time.Duration
	log     requestLog
	tracer  Tracer
	gate    *callers.Gate // nil: any caller has all rights
	prefix  string        // of request ids, unique to this process
	calls   atomic.Uint64
	sending func(http.ResponseWriter, int) (done func()) // nil: not set
	watcher atomic.Pointer[func(Finished)]               // nil: none
	slots   *limiter.Limiter                             // of requests
	readers *limiter.Limiter                             // of bodies
	large   *limiter.Limiter                             // bytes of large bodies
	turns   chan struct{}                                // of lists with all documents
	unsent  unsent                                       // answers
}

// New returns a Server that logs to log.
func New(log *slog.Logger) *Server {
	var b [4]byte
	rand.Read(b[:])
	return &Server{
		budget: Budget, log: requestLog{log: log.Handler()}, prefix: hex.EncodeToString(b[:]),
		slots: newSlots(minRequests), readers: newReaders(), large: newLarge(), turns: newTurns(),
	}
}

// SetBudget changes the time of a request, which is [Budget] otherwise. It must come before the first request.
func (s *Server) SetBudget(d time.Duration) { s.budget = d }

// Budget returns the time of a request.
func (s *Server) Budget() time.Duration { return s.budget }

// Handler bounds and logs the requests to next, which routes to handlers made with [Server.Options]. Requests whose path
// begins with one of urgent are still admitted when others are refused.
func (s *Server) Handler(next http.Handler, urgent ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, body := time.Now(), r.Body
		c := s.begin(r.Context(), start)
		c.ResponseWriter, c.record.Class.Protocol = w, protocolOf(r.Header)
		if agent := r.Header["User-Agent"]; len(agent) > 0 {
			c.agent = agent[0]
		}
		if s.tracer != nil {
			if trace := c.trace(r.Header.Get); trace != "" {
				w.Header().Set(TraceResponse, trace)
			}
		}
		defer c.end()
		if conn, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
			_ = conn.SetReadDeadline(start.Add(s.budget + grace)) // if it fails, the server's own timeout applies
		}
		if err := s.serve(c, r, next, urgent, start); err != nil {
			c.refused(err)
			_ = twirp.WriteError(c, err) // fails if the caller has gone
		}
		c.finish(start)
		if c.body == nil { // else it has been read
			discard(w, r, body)
		}
	})
}

// begin makes the state of a request, and its record unless the platform's adapter has made one.
func (s *Server) begin(ctx context.Context, start time.Time) *call {
	c := &call{
		parent: ctx, start: start, deadline: start.Add(s.budget), server: s, number: s.calls.Add(1), record: request.From(ctx), kind: limiter.Ordinary,
	}
	if c.record == nil {
		c.record = &c.own
	}
	c.watch()
	if d, ok := ctx.Deadline(); ok && d.Before(c.deadline) {
		c.deadline = d // the caller's, or that of a Lambda function with little time left
	}
	return c
}

// serve lets next answer, or refuses the request.
func (s *Server) serve(c *call, r *http.Request, next http.Handler, urgent []string, now time.Time) twirp.Error {
	if !s.gate.Any() {
		rpc, _ := strings.CutPrefix(r.URL.Path, twirpPrefix)
		if err := c.identify(CredentialsOf(r), rpc, now); err != nil {
			return err
		}
	}
	c.charge(callers.ConnectionFrom(r.Context()))
	if slices.ContainsFunc(urgent, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) }) {
		c.kind = limiter.Urgent
	}
	if err := c.readBody(r); err != nil {
		return err
	}
	if err := c.enter(c.kindOf(len(c.body))); err != nil {
		return err
	}
	next.ServeHTTP(c, r.WithContext(c))
	return nil
}

var (
	errPanic = errors.New("panic")
	errNil   = errors.New("neither a response nor an error")
)

// NotFound answers a path that no service has, with a Twirp error.
func NotFound(w http.ResponseWriter, r *http.Request) {
	_ = twirp.WriteError(w, Error(twirp.BadRoute, "ROUTE", "no such service")) // fails if the caller has gone
}

// Options returns the server options of a generated Twirp handler.
func (s *Server) Options() twirp.ServerOption {
	interceptor := twirp.WithServerInterceptors(s.intercept)
	hooks := twirp.WithServerHooks(&twirp.ServerHooks{
		RequestRouted: func(ctx context.Context) (context.Context, error) {
			if c := callOf(ctx); c != nil && c.isJSON {
				if err := c.checkJSON(ctx); err != nil {
					return ctx, err
				}
			}
			return ctx, nil
		},
		Error: func(ctx context.Context, err twirp.Error) context.Context {
			if c := callOf(ctx); c != nil {
				if c.cut { // Twirp reports the failed write as unknown
					err, c.cause = errCanceled, "the caller did not take the answer"
				}
				if err.Meta("reason") == "" {
					instead := c.ofTwirp(err)
					c.instead, err = &instead, instead
				}
				c.refused(err)
				c.route(ctx)
			}
			return ctx
		},
	})
	return func(o *twirp.ServerOptions) { interceptor(o); hooks(o) }
}

// intercept stands between Twirp, which would send the text of any error, and a service's method.
func (s *Server) intercept(next twirp.Method) twirp.Method {
	return func(ctx context.Context, in any) (response any, err error) {
		c := callOf(ctx)
		if c == nil {
			return nil, twirp.InternalError("internal error") // the handler is not inside Server.Handler: no budget, no log
		}
		c.route(ctx)
		var public twirp.Error
		response, public = c.answer(ctx, in, func(ctx context.Context) (any, error) { return next(ctx, in) })
		if public != nil {
			return nil, public
		}
		return response, nil
	}
}

// answer runs a method of a service, if the caller has the rights that the message needs. Panics and internal errors never reach
// the caller.
func (c *call) answer(ctx context.Context, message any, method func(context.Context) (any, error)) (response any, public twirp.Error) {
	c.keepMessages(message, nil)
	if c.caller != nil && message != nil { // an unknown gRPC method has none
		if err := c.allow(callers.Needed(message)); err != nil {
			return nil, err
		}
	}
	if err := c.weigh(message); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			// The log gets the source position of the panic, not its value, which may contain data.
			c.cause = fmt.Sprintf("panic: %T\n%s", p, debug.Stack())
			response, public = nil, c.public(ctx, errPanic)
		}
	}()
	response, err := method(ctx)
	if m, ok := response.(proto.Message); err == nil && (!ok || !m.ProtoReflect().IsValid()) {
		err = errNil // Twirp would send the names of internal types to the caller
	}
	if err == nil {
		if c.caller != nil {
			c.caller.Rights.Redact(response)
		}
		c.keepMessages(message, response)
		return response, nil
	}
	public = c.public(ctx, err)
	if !errors.Is(err, public) {
		c.cause = errtext.ForLog(err)
	}
	return nil, public
}
