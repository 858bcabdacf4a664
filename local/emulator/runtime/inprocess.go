package runtime

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/request"
)

// Handler is a function that runs in this process; lambda.Handler of aws-lambda-go is one.
type Handler interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// inProcess is the Function of a Handler.
type inProcess struct {
	host     *Host
	function *template.Function
	handler  Handler
}

// InProcess runs f by a handler. It shares memory and environment with this program: its output is not in its log, it is not
// stopped at its timeout, and os.Exit ends the program.
func (h *Host) InProcess(f *template.Function, handler Handler) Function {
	return &inProcess{h, f, handler}
}

// Invoke implements Function.
func (p *inProcess) Invoke(ctx context.Context, in Invocation) Result {
	if in.RequestID == "" {
		in.RequestID = NewID()
	}
	if !p.host.enter() {
		return failed(in.RequestID, "Sandbox.Failure", "%v", errClosed)
	}
	defer p.host.leave()
	began := time.Now()
	ctx, cancel := context.WithDeadline(request.With(context.WithoutCancel(ctx), &request.Record{ID: in.RequestID}), began.Add(p.function.Timeout))
	defer cancel()
	done := make(chan Result, 1)
	go func() { done <- p.call(ctx, in.Payload) }()
	result := p.wait(ctx, in.RequestID, done)
	if !result.TimedOut {
		result.Duration = time.Since(began)
	}
	report{requestID: in.RequestID, function: p.function}.finish(&result, nil, p.host.output)
	return result
}

// wait returns the result of the handler, or that of its timeout, after which the handler runs on.
func (p *inProcess) wait(ctx context.Context, requestID string, done <-chan Result) Result {
	select {
	case result := <-done:
		return result
	case <-p.host.done:
		return failed(requestID, "Sandbox.Failure", "%v", errClosed)
	case <-ctx.Done():
		return timedOut(requestID, p.function.Timeout)
	}
}

// call turns panics and errors into the documents that aws-lambda-go would report.
func (p *inProcess) call(ctx context.Context, payload []byte) (result Result) {
	defer func() {
		if v := recover(); v != nil {
			p.host.log.Error("panic in a function", "function", p.function.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			result = failure{typeName(v), fmt.Sprint(v)}.result()
		}
	}()
	answer, err := p.handler.Invoke(ctx, payload)
	switch {
	case err != nil:
		return failure{typeName(err), err.Error()}.result()
	case len(answer) > template.MaxResponse:
		return tooLarge()
	}
	return Result{Payload: answer}
}

func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}
