package emulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/osirose-new/database-service/local/emulator/gateway"
	"github.com/osirose-new/database-service/local/emulator/runtime"
)

// Errors of Replay and of Invocation.HTTP.
var (
	ErrUnknownInvocation = errors.New("the history does not have the invocation; it has the last 200, or fewer if they are large")
	ErrFunctionGone      = errors.New("the template no longer has the function")
	ErrEventNotKept      = errors.New("the event is larger than 256 KiB, so the history does not have it")
	ErrNotHTTP           = gateway.ErrNotHTTP // the event is of no gateway
)

// Replay invokes the function of a kept invocation again, with the same event and a new request id. It waits for the result,
// also if the original was asynchronous, and does not retry. A failure of the function is in the returned record. If ctx ends while
// the invocation waits for a process, the record says that it was throttled. The error is ErrUnknownInvocation, ErrFunctionGone or
// ErrEventNotKept.
func (e *Emulator) Replay(ctx context.Context, number int64) (Invocation, error) {
	old, ok := e.Invocation(number)
	if !ok {
		return Invocation{}, fmt.Errorf("replay invocation %d: %w", number, ErrUnknownInvocation)
	}
	f := e.state.Load().byName[old.Function]
	if f == nil || f.settings.ID != old.Function {
		return Invocation{}, fmt.Errorf("replay invocation %d of %s: %w", number, old.Function, ErrFunctionGone)
	}
	if old.EventCut {
		return Invocation{}, fmt.Errorf("replay invocation %d of %s (%d bytes): %w", number, old.Function, old.EventSize, ErrEventNotKept)
	}
	in := runtime.Invocation{RequestID: runtime.NewID(), Payload: bytes.Clone(old.Event), ClientContext: old.ClientContext}
	_, i := f.record(ctx, in, Invocation{Source: SourceReplay, ReplayOf: number})
	return i, nil
}

// Exchange is an invocation as HTTP.
type Exchange struct {
	Request  gateway.Request
	Response gateway.Response
	Problem  string // why there is no Response; empty if there is one
}

// HTTP returns the HTTP request in the event, and the HTTP response that the gateway made of the function's document. It reads
// the event of every kind of gateway, whatever the source of the invocation was. The error is ErrNotHTTP or ErrEventNotKept, or
// says that the event is malformed.
func (i Invocation) HTTP() (Exchange, error) {
	if i.EventCut {
		return Exchange{}, ErrEventNotKept
	}
	request, err := gateway.ParseEvent(i.Event)
	if err != nil {
		return Exchange{}, err
	}
	x := Exchange{Request: request}
	switch {
	case i.Throttled:
		x.Problem = "the function was throttled"
	case i.TimedOut:
		x.Problem = "the function timed out"
	case i.Failed:
		x.Problem = "the function failed"
	case i.ResponseCut:
		x.Problem = "the response is larger than 256 KiB, so the history does not have it"
	default:
		if x.Response, err = gateway.ParseResponse(request.Kind, i.Response); err != nil {
			x.Problem = err.Error()
		}
	}
	return x, nil
}
