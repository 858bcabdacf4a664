package emulator

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/osirose-new/database-service/local/emulator/runtime"
)

// Limits of the history.
const (
	maxInvocations = 200
	maxHistory     = 8 << 20   // bytes of all events, responses and logs
	maxKept        = 256 << 10 // bytes of one event or response; a larger one is not kept
)

// Sources of invocations besides the kinds of gateways.
const (
	SourceInvoke = "invoke" // the Invoke API
	SourceReplay = "replay" // Replay
)

// Invocation is one attempt to run a function. A retry of an asynchronous event is another one with the same request id.
// The event, the response and the log contain what the caller sent, including tokens. Do not change their bytes: the history
// has the same ones.
type Invocation struct {
	Number        int64 // from 1, in the order in which the invocations ended
	Start         time.Time
	Function      string // logical id
	RequestID     string // Lambda's, as in the log
	Source        string // a kind of gateway, for example "v2", SourceInvoke or SourceReplay
	ReplayOf      int64  // number of the invocation that this one repeats; 0: none
	Async         bool
	ClientContext string // base64, as the Invoke API received it

	Event        []byte
	EventSize    int  // bytes
	EventCut     bool // the event was too large to keep (256 KiB)
	Response     []byte
	ResponseSize int    // bytes
	ResponseCut  bool   // the response was too large to keep (256 KiB)
	Log          []byte // the end of what the function wrote, at most 4 KiB; in process, only Lambda's own lines

	Failed    bool          // the function or its process failed; not set if it was throttled
	TimedOut  bool          // failed because of the function's timeout
	Init      bool          // failed because its process did not start
	Throttled bool          // it did not run: too many invocations run and wait
	Duration  time.Duration // of the function itself, without the wait for a process
}

// size returns the bytes that count for maxHistory.
func (i *Invocation) size() int {
	return len(i.Event) + len(i.Response) + len(i.Log) + len(i.ClientContext)
}

// history keeps the last invocations, and what each function did.
type history struct {
	mu         sync.Mutex
	newest     int64        // number
	list       []Invocation // oldest first
	size       int          // of list
	activities map[string]*activity
}

func newHistory() *history { return &history{activities: map[string]*activity{}} }

// run runs the function once and keeps the invocation.
func (f *function) run(ctx context.Context, in runtime.Invocation, source string) runtime.Result {
	result, _ := f.record(ctx, in, Invocation{Source: source})
	return result
}

// record does what run does, for an invocation that has its source, and returns the complete record too. The record has copies of
// the payloads, because a function in this process may reuse its memory.
func (f *function) record(ctx context.Context, in runtime.Invocation, i Invocation) (runtime.Result, Invocation) {
	i.Start, i.Function, i.RequestID = time.Now(), f.settings.ID, in.RequestID
	i.Async, i.ClientContext = in.Async, in.ClientContext
	i.EventSize = len(in.Payload)
	i.Event, i.EventCut = kept(in.Payload)
	f.history.begin(i.Function)
	result := f.runner.Invoke(ctx, in)
	i.ResponseSize = len(result.Payload)
	i.Response, i.ResponseCut = kept(result.Payload)
	i.Log = result.Log
	i.Failed, i.TimedOut, i.Throttled = result.Failed && !result.Throttled, result.TimedOut, result.Throttled
	i.Init, i.Duration = result.Init, result.Duration
	return result, f.history.end(i, newError(&i, result.Payload))
}

// kept returns a copy of a payload that is small enough for the history.
func kept(payload []byte) (copied []byte, cut bool) {
	if len(payload) > maxKept {
		return nil, true
	}
	return bytes.Clone(payload), false
}

func (h *history) begin(function string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.activity(function).running++
}

// end numbers i and adds it. The oldest invocations make room. failure is nil if i succeeded.
func (h *history) end(i Invocation, failure *FunctionError) Invocation {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest++
	i.Number = h.newest
	h.activity(i.Function).end(&i, failure)
	h.list = append(h.list, i)
	h.size += i.size()
	drop := 0
	for len(h.list)-drop > maxInvocations || h.size > maxHistory {
		h.size -= h.list[drop].size()
		drop++
	}
	h.list = slices.Delete(h.list, 0, drop)
	return i
}

// Invocations returns the last 200 invocations, oldest first. They are fewer if their payloads exceed 8 MiB.
func (e *Emulator) Invocations() []Invocation {
	e.history.mu.Lock()
	defer e.history.mu.Unlock()
	return slices.Clone(e.history.list)
}

// Invocation returns one of [Emulator.Invocations] by its number, or false if it is not among them.
func (e *Emulator) Invocation(number int64) (Invocation, bool) {
	e.history.mu.Lock()
	defer e.history.mu.Unlock()
	for _, i := range e.history.list {
		if i.Number == number {
			return i, true
		}
	}
	return Invocation{}, false
}
