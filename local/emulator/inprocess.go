package emulator

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/osirose-new/database-service/shared/request"
)

// Handler is a function that runs in the emulator's own process; lambda.Handler of aws-lambda-go is one.
type Handler interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// inProcess runs a function without a process of its own. It shares memory and environment with the emulator, its output
// is not in its log, what it does at the end of its time goes on, and os.Exit ends everything.
type inProcess struct {
	host    *host
	spec    *spec
	handler Handler
}

// invoke implements function. A caller who leaves does not stop it, as on Lambda.
func (p *inProcess) invoke(ctx context.Context, in invocation) outcome {
	if in.requestID == "" {
		in.requestID = newID()
	}
	if !p.host.enter() {
		return failed(in.requestID, "Sandbox.Failure", "%v", errClosed)
	}
	defer p.host.leave()
	began := time.Now()
	ctx, cancel := context.WithDeadline(request.With(context.WithoutCancel(ctx), &request.Record{ID: in.requestID}), began.Add(p.spec.timeout))
	defer cancel()
	done := make(chan outcome, 1)
	go func() { done <- p.call(ctx, in.payload) }()
	o := p.wait(ctx, in.requestID, done)
	if !o.timedOut {
		o.duration = time.Since(began)
	}
	report{requestID: in.requestID, function: p.spec}.finish(&o, nil, p.host.watchers)
	return o
}

// wait leaves the handler to itself when its time is over.
func (p *inProcess) wait(ctx context.Context, requestID string, done <-chan outcome) outcome {
	select {
	case o := <-done:
		return o
	case <-p.host.done:
		return failed(requestID, "Sandbox.Failure", "%v", errClosed)
	case <-ctx.Done():
		return timedOut(requestID, p.spec.timeout)
	}
}

// call turns panics and errors into what aws-lambda-go reports of them.
func (p *inProcess) call(ctx context.Context, payload []byte) (o outcome) {
	defer func() {
		if v := recover(); v != nil {
			p.host.log.Error("panic in a function", "function", p.spec.id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			o = failure{typeName(v), fmt.Sprint(v)}.outcome()
		}
	}()
	answer, err := p.handler.Invoke(ctx, payload)
	switch {
	case err != nil:
		return failure{typeName(err), err.Error()}.outcome()
	case len(answer) > maxResponse:
		return tooLarge()
	}
	return outcome{payload: answer}
}

func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}
