// Package lambdahttp runs an http.Handler as an AWS Lambda function behind API Gateway, a Function URL or an Application
// Load Balancer. It is the only package that knows the Lambda runtime. A handler sees what it would see behind net/http. A
// handler's panic or invalid response neither ends the process nor fails the function. Nothing runs after the response.
package lambdahttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/request"
)

// margin is the part of the function's time that is kept for sending the response: a function that Lambda stops sends none.
const margin = 200 * time.Millisecond

// Adapter turns events into requests to a handler, and the handler's responses into the gateway's form. It may be used for
// many events at once.
type Adapter struct {
	log     *slog.Logger
	handler http.Handler
	finish  func(context.Context)
	late    sync.Once
}

// New returns an Adapter.
func New(log *slog.Logger, handler http.Handler) *Adapter {
	return &Adapter{log: log, handler: handler}
}

// Finish returns an Adapter that also calls f at the end of each request, before the answer is returned. The record in f's
// context is complete then; see package request. f may be nil.
func (a *Adapter) Finish(f func(context.Context)) *Adapter {
	return &Adapter{log: a.log, handler: a.handler, finish: f}
}

// Invoke implements lambda.Handler. It returns an error only for an event that is not a request.
func (a *Adapter) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := decode(payload)
	if err != nil {
		return nil, err
	}
	w := &response{head: e.method == http.MethodHead}
	if e.kind == nothing || e.isHealthCheck() {
		return w.encode(e.kind), nil
	}
	record := &request.Record{ID: requestID(ctx), Identity: e.userARN}
	ctx, cancel := a.deadline(request.With(ctx, record))
	defer cancel()
	if r, ok := e.request(ctx); ok {
		a.serve(w, r, record)
	} else {
		record.Class.Code = errBody.Code()
		w.error(errBody)
	}
	if a.finish != nil {
		a.finish(ctx)
	}
	out := w.encode(e.kind)
	if limit := e.kind.limit(); len(out) > limit {
		a.log.WarnContext(ctx, "the response is too large for the gateway", "request", record.ID, "limit", limit)
		w.reset()
		w.error(errTooLarge)
		out = w.encode(e.kind)
	}
	return out, nil
}

// serve calls the handler. If the handler panics before it has written anything, serve answers instead.
func (a *Adapter) serve(w *response, r *http.Request, record *request.Record) {
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(r.Context(), "panic", "request", record.ID, "cause", describePanic(p))
			record.Class = request.Class{Code: twirp.Internal}
			if w.status == 0 {
				w.reset()
				w.error(errInternal.WithMeta("request_id", record.ID))
			}
		}
	}()
	a.handler.ServeHTTP(w, r)
}

// describePanic returns the type and the place of a panic. The value may contain data.
func describePanic(p any) string { return fmt.Sprintf("%T\n%s", p, debug.Stack()) }

// deadline returns a context that ends a margin before the function does. Some emulators send a deadline in 1970; deadline
// ignores one that has passed.
func (a *Adapter) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	d, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	if !time.Now().Before(d) {
		a.late.Do(func() { a.log.WarnContext(ctx, "deadlines that are past at the start of an invocation are ignored") })
		return context.WithoutCancel(ctx), func() {}
	}
	return context.WithDeadline(ctx, d.Add(-margin))
}

// requestID returns the id of the invocation: Lambda's, or that of an emulator in this process.
func requestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	if r := request.From(ctx); r != nil {
		return r.ID
	}
	return ""
}

// Start serves events with handler until the process ends. See [Adapter.Finish] for finish.
func Start(log *slog.Logger, handler http.Handler, finish func(context.Context)) {
	lambda.StartWithOptions(New(log, handler).Finish(finish))
}

// Task is a function that ignores its event. The context has the function's deadline. An error or a panic of the task fails
// the invocation. Lambda logs that failure, so it names the kind of the error; the text may contain data.
type Task func(context.Context) error

// Invoke implements lambda.Handler.
func (t Task) Invoke(ctx context.Context, _ []byte) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, errors.New("panic: "+describePanic(p))
		}
	}()
	if err := t(ctx); err != nil {
		return nil, errors.New(errtext.ForLog(err))
	}
	return []byte("null"), nil
}

// StartTask runs task for each event until the process ends.
func StartTask(task Task) { lambda.StartWithOptions(task) }

// MaxConcurrency returns the number of events that one process gets at once: 1, except on Lambda's managed instances.
func MaxConcurrency() int { return max(1, lambdacontext.MaxConcurrency()) }
