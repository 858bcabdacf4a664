package systemtest_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/twitchtv/twirp"
)

// history records concurrent operations and their outputs. A checker searches for an order that explains them.
type history struct {
	start time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	// unknown is set if a change may or may not have taken effect. Such a history is not checked.
	unknown bool
}

func newHistory() *history { return &history{start: time.Now()} }

// do runs an operation and records it. f returns false if it got no answer and changed nothing.
func (h *history) do(client int, input any, f func() (output any, answered bool)) {
	call := time.Since(h.start)
	if output, answered := f(); answered {
		h.note(client, call, output, input)
	}
}

// note records operations that began at call, end now, and have the same output.
func (h *history) note(client int, call time.Duration, output any, inputs ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := time.Since(h.start)
	for _, input := range inputs {
		h.ops = append(h.ops, porcupine.Operation{
			ClientId: client, Input: input, Call: call.Nanoseconds(), Output: output, Return: end.Nanoseconds(),
		})
	}
}

// unanswered reports whether a call ended without a known result. If the call may have changed something, the history becomes
// unknown.
func (h *history) unanswered(err error, writes bool) bool {
	switch faultOf(err).code {
	case twirp.Unavailable, twirp.DeadlineExceeded:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.unknown = h.unknown || writes
		return true
	case twirp.ResourceExhausted, twirp.Aborted:
		return faultOf(err).reason != "VERSION_MISMATCH" // nothing was changed
	}
	return false
}

// linear checks that some sequential order explains the history.
func (h *history) linear(t *testing.T, model porcupine.Model) {
	t.Helper()
	got, info := porcupine.CheckOperationsVerbose(model, h.ops, time.Minute)
	switch got {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Error("the checker did not finish")
	default:
		t.Errorf("the history of %d operations is not linearizable:\n%s", len(h.ops), h.stuck(model, info))
	}
}

// stuck describes the longest partial explanation and the operations that it could not explain.
func (h *history) stuck(model porcupine.Model, info porcupine.LinearizationInfo) string {
	var best []porcupine.Operation
	for _, explanation := range info.PartialLinearizationsOperations()[0] {
		if len(explanation) > len(best) {
			best = explanation
		}
	}
	var text strings.Builder
	describe := func(op porcupine.Operation) {
		fmt.Fprintf(&text, "  client %d, %v to %v: %s\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return),
			model.DescribeOperation(op.Input, op.Output))
	}
	explained := map[porcupine.Operation]bool{}
	for i, op := range best {
		explained[op] = true
		if i >= len(best)-10 {
			describe(op)
		}
	}
	text.WriteString("not explained:\n")
	ops := slices.SortedFunc(slices.Values(h.ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	ops = slices.DeleteFunc(ops, func(op porcupine.Operation) bool { return explained[op] })
	for _, op := range ops[:min(5, len(ops))] {
		describe(op)
	}
	return text.String()
}

// untilKnown repeats a run until every change in it has an answer. On a busy machine a change may have none.
func untilKnown(t *testing.T, run func() *history) *history {
	t.Helper()
	for range 100 {
		if h := run(); !h.unknown {
			return h
		}
	}
	t.Error("no run got an answer to each change")
	return newHistory()
}
