// Package rpcserver is the edge that all services share. It bounds a request in time and size, writes one log line for
// each, and lets no error out that was not written for the caller.
package rpcserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// Budget is the time of one request (see Server.SetBudget).
	Budget = time.Second
	// MaxBody is the size of a request's body in bytes.
	MaxBody = 1 << 20
)

// Server wraps the services of one program.
type Server struct {
	budget    time.Duration
	lines     lines
	tracer    Tracer
	prefix    string // of request ids, unique to this process
	calls     atomic.Uint64
	admission admission
}

// New returns a Server that logs to log.
func New(log *slog.Logger) *Server {
	var b [4]byte
	rand.Read(b[:])
	return &Server{budget: Budget, lines: lines{log: log.Handler()}, prefix: hex.EncodeToString(b[:])}
}

// SetBudget changes the time of a request, which is [Budget] otherwise. It must come before the first request.
func (s *Server) SetBudget(d time.Duration) { s.budget = d }

// Budget returns the time of a request.
func (s *Server) Budget() time.Duration { return s.budget }

// Handler bounds and logs the requests to next, which routes to handlers made with [Server.Options]. What is urgent by
// its path is admitted while other requests are refused.
func (s *Server) Handler(next http.Handler, urgent ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := s.begin(r.Context(), start)
		c.ResponseWriter, c.class.Protocol = w, protocolOf(r.Header)
		if agent := r.Header["User-Agent"]; len(agent) > 0 {
			c.agent = agent[0]
		}
		if s.tracer != nil {
			if trace := c.trace(r.Header.Get); trace != "" {
				w.Header().Set(TraceResponse, trace)
			}
		}
		defer c.end()
		if body, ok := w.(interface{ SetReadDeadline(time.Time) error }); ok {
			// A little later than the budget's, for then it is the budget that ran out and not the caller who went.
			_ = body.SetReadDeadline(start.Add(s.budget + 50*time.Millisecond)) // without, the server's own timeout applies
		}
		if err := s.serve(c, r, next, urgent); err != nil {
			c.class.Code = err.Code()
			_ = twirp.WriteError(c, err) // the caller has gone if this fails
		}
		c.finish(start)
	})
}

// begin makes the state of a request.
func (s *Server) begin(ctx context.Context, start time.Time) *call {
	c := &call{parent: ctx, deadline: start.Add(s.budget), server: s, number: s.calls.Add(1), origin: OriginOf(ctx)}
	if d, ok := ctx.Deadline(); ok && d.Before(c.deadline) {
		c.deadline = d // the caller's own, or that of a Lambda function that has little time left
	}
	return c
}

// serve has next answer, unless the request is refused before.
func (s *Server) serve(c *call, r *http.Request, next http.Handler, urgent []string) twirp.Error {
	size := r.ContentLength
	if size < 0 {
		size = MaxBody
	}
	if size <= MaxBody {
		isUrgent := func() bool {
			return slices.ContainsFunc(urgent, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) })
		}
		if !s.admission.enter(size, isUrgent) {
			return errBusy
		}
		defer s.admission.leave(size)
	}
	if err := c.limitBody(r); err != nil {
		return err
	}
	next.ServeHTTP(c, r.WithContext(c))
	return nil
}

var (
	errPanic = errors.New("panic")
	errNil   = errors.New("neither a response nor an error")
)

var errBody = Error(twirp.Malformed, "BODY_TOO_LARGE", fmt.Sprintf("the body is larger than %d bytes", MaxBody))

// limitBody refuses a large body by its announced length; one of unknown length is read here, up to the limit.
func (c *call) limitBody(r *http.Request) twirp.Error {
	if r.ContentLength > MaxBody {
		return errBody
	}
	if r.ContentLength >= 0 || r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.ResponseWriter, r.Body, MaxBody)) // which has net/http not wait for the rest
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errBody
	}
	switch {
	case err != nil && c.Err() != nil:
		return c.public(c, c.Err())
	case err != nil:
		return Error(twirp.Malformed, "BODY", "the body could not be read")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// NotFound answers what no service has: in Twirp's words, for Twirp's clients.
func NotFound(w http.ResponseWriter, r *http.Request) {
	_ = twirp.WriteError(w, twirp.NewError(twirp.BadRoute, "no such service")) // the caller has gone if this fails
}

// Options are the server options of a generated Twirp handler.
func (s *Server) Options() twirp.ServerOption {
	interceptor := twirp.WithServerInterceptors(s.intercept)
	hooks := twirp.WithServerHooks(&twirp.ServerHooks{
		Error: func(ctx context.Context, err twirp.Error) context.Context {
			if c := callOf(ctx); c != nil {
				c.class.Code = err.Code()
				c.name(ctx)
			}
			return ctx
		},
	})
	return func(o *twirp.ServerOptions) { interceptor(o); hooks(o) }
}

// intercept stands between Twirp, which would send the text of any error, and a service's method.
func (s *Server) intercept(next twirp.Method) twirp.Method {
	return func(ctx context.Context, request any) (response any, err error) {
		c := callOf(ctx)
		if c == nil {
			return nil, twirp.InternalError("internal error") // a handler outside Server.Handler: no budget, no log
		}
		c.name(ctx)
		var public twirp.Error
		response, public = c.answer(ctx, func(ctx context.Context) (any, error) { return next(ctx, request) })
		if public != nil {
			return nil, public
		}
		return response, nil
	}
}

// answer runs a method of a service. Whatever it comes to, a panic included, the caller gets to see no more than he should.
func (c *call) answer(ctx context.Context, method func(context.Context) (any, error)) (response any, public twirp.Error) {
	defer func() {
		if p := recover(); p != nil {
			// The value of the panic may hold data; where it happened says enough.
			c.cause = fmt.Sprintf("panic: %T\n%s", p, debug.Stack())
			response, public = nil, c.public(ctx, errPanic)
		}
	}()
	response, err := method(ctx)
	if m, ok := response.(proto.Message); err == nil && (!ok || !m.ProtoReflect().IsValid()) {
		err = errNil // Twirp would name our types to the caller
	}
	if err == nil {
		return response, nil
	}
	public = c.public(ctx, err)
	if !errors.Is(err, public) {
		c.cause = postgres.Describe(err)
	}
	return nil, public
}
