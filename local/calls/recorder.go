package calls

import (
	"slices"
	"sync"
	"time"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	// MaxCalls is the number of calls that a Recorder keeps.
	MaxCalls = 500
	// MaxPayload is the size in bytes of the largest message that a Recorder keeps.
	MaxPayload = 64 << 10
	// MaxPayloads is the size in bytes of all messages that a Recorder keeps. The oldest calls make room for new ones.
	MaxPayloads = 16 << 20
	// LookTime is how long a Recorder records after Look.
	LookTime = 30 * time.Second
)

// Options describe what a Recorder records.
type Options struct {
	// Payloads keeps the requests, the answers, and the message and meta of errors. Only a developer may see them.
	Payloads bool
	// Always records without Look, too.
	Always bool
	// Now replaces time.Now in tests.
	Now func() time.Time
}

// Recorder keeps the last calls of one edge in memory. While it does not record, it adds nothing to the cost of a request.
type Recorder struct {
	edge    *rpcserver.Server
	options Options

	mu    sync.Mutex
	on    bool      // the edge has a watcher
	until time.Time // of the last Look
	last  uint64    // number of the newest call
	calls []*kept   // the oldest first
	bytes int       // of their content
}

// NewRecorder returns a Recorder of the edge's requests. It is the edge's only watcher.
func NewRecorder(edge *rpcserver.Server, o Options) *Recorder {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Recorder{edge: edge, options: o}
	if o.Always {
		r.Look()
	}
	return r
}

// Payloads reports whether the Recorder keeps the content of calls.
func (r *Recorder) Payloads() bool { return r.options.Payloads }

// Look makes the Recorder record for LookTime from now. A page that shows calls calls it at each request.
func (r *Recorder) Look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = r.options.Now().Add(LookTime)
	r.check()
}

// recording reports whether the Recorder records now.
func (r *Recorder) recording() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.check()
}

// check reports whether the Recorder records, and sets or removes the edge's watcher accordingly. The caller has locked r. No timer
// removes the watcher: the first request after LookTime does.
func (r *Recorder) check() bool {
	on := r.options.Always || r.options.Now().Before(r.until)
	if on == r.on {
		return on
	}
	r.on = on
	if on {
		r.edge.Watch(r.record)
	} else {
		r.edge.Watch(nil)
	}
	return on
}

// record is the edge's watcher. It encodes the messages without the lock, so that requests do not wait for each other.
func (r *Recorder) record(f rpcserver.Finished) {
	if !r.recording() {
		return
	}
	k := keep(f, r.options.Payloads)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	k.Number = r.last
	r.calls, r.bytes = append(r.calls, k), r.bytes+k.bytes()
	drop := 0
	for len(r.calls)-drop > MaxCalls || r.bytes > MaxPayloads {
		r.bytes -= r.calls[drop].bytes()
		drop++
	}
	r.calls = slices.Delete(r.calls, 0, drop)
}

// List returns the calls that the filter selects, the newest first.
func (r *Recorder) List(f Filter) []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Call
	for _, k := range slices.Backward(r.calls) {
		if f.has(k.Call) {
			list = append(list, k.Call)
		}
	}
	return list
}

// Get returns a call by its number, or false if the Recorder no longer has it.
func (r *Recorder) Get(number uint64) (Detail, bool) {
	r.mu.Lock()
	i, found := slices.BinarySearchFunc(r.calls, number, func(k *kept, n uint64) int {
		switch {
		case k.Number < n:
			return -1
		case k.Number > n:
			return 1
		}
		return 0
	})
	if !found {
		r.mu.Unlock()
		return Detail{}, false
	}
	k := r.calls[i]
	r.mu.Unlock()
	return k.detail(), true // a call in memory does not change
}
