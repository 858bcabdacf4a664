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

// history is what clients did and saw at the same time, for a checker to find an order that explains it.
type history struct {
	start time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	// unknown is set where a change may or may not have taken place: such a history is not checked.
	unknown bool
}

func newHistory() *history { return &history{start: time.Now()} }

// do runs an operation and notes it. f returns false where it had no answer, and changed nothing.
func (h *history) do(client int, input any, f func() (output any, answered bool)) {
	call := time.Since(h.start)
	if output, answered := f(); answered {
		h.note(client, call, output, input)
	}
}

// note notes operations that began at call, ended now, and had the same output.
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

// unanswered reports whether a call ended without a word about its outcome; one that may have changed something spoils
// the history.
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

// linear finds that the history could have happened one operation after the other.
func (h *history) linear(t *testing.T, model porcupine.Model) {
	t.Helper()
	got, info := porcupine.CheckOperationsVerbose(model, h.ops, time.Minute)
	switch got {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Error("the checker did not come to an end")
	default:
		t.Errorf("the history of %d operations is not linearizable:\n%s", len(h.ops), h.stuck(model, info))
	}
}

// stuck says how far an explanation came, and what it could not explain then.
func (h *history) stuck(model porcupine.Model, info porcupine.LinearizationInfo) string {
	var best []porcupine.Operation
	for _, explanation := range info.PartialLinearizationsOperations()[0] {
		if len(explanation) > len(best) {
			best = explanation
		}
	}
	var text strings.Builder
	tell := func(op porcupine.Operation) {
		fmt.Fprintf(&text, "  client %d, %v to %v: %s\n", op.ClientId, time.Duration(op.Call), time.Duration(op.Return),
			model.DescribeOperation(op.Input, op.Output))
	}
	explained := map[porcupine.Operation]bool{}
	for i, op := range best {
		explained[op] = true
		if i >= len(best)-10 {
			tell(op)
		}
	}
	text.WriteString("but then, in no order:\n")
	ops := slices.SortedFunc(slices.Values(h.ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	ops = slices.DeleteFunc(ops, func(op porcupine.Operation) bool { return explained[op] })
	for _, op := range ops[:min(5, len(ops))] {
		tell(op)
	}
	return text.String()
}

// untilKnown repeats a run until a machine that is busy has let every change of it have an answer.
func untilKnown(t *testing.T, run func() *history) *history {
	t.Helper()
	for range 100 {
		if h := run(); !h.unknown {
			return h
		}
	}
	t.Error("no run had all of its answers")
	return newHistory()
}
