package rpcserver

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/request"
)

// call is the state of one request. It is the request's context, its ResponseWriter and, outside Lambda, its record, so that
// all of them cost one allocation. The timer of the deadline starts when code first waits for it: a cache hit never does.
type call struct {
	http.ResponseWriter
	parent   context.Context
	start    time.Time
	deadline time.Time
	timed    atomic.Pointer[timed]
	once     sync.Once

	server  *Server
	number  uint64
	caller  *callers.Principal // nil: any caller has all rights, or the request was refused
	record  *request.Record    // &own, unless the platform's adapter made one
	own     request.Record
	agent   string   // User-Agent
	traceID string   // empty if the request is not traced
	reason  string   // for the log: meta.reason of the error
	cause   string   // for the log: the error that the caller does not see
	watched *watched // nil: there is no watcher

	kind    limiter.Kind
	slot    limiter.Slot // while the answer is made
	paused  bool         // the slot is free for others, for a moment
	list    bool         // it asks for a list with all documents
	turn    bool         // it has one of the turns of such lists
	isJSON  bool
	cut     bool         // the caller did not take the answer
	reading limiter.Slot // while the body is read
	large   limiter.Slot // of MaxBytes, until the answer is made
	small   [64]byte     // has the body of most requests, so that it costs no allocation
	body    []byte
	instead *twirp.Error // nil, or an error of Twirp with a reason
	reader  bytes.Reader // of body
}

// timed is the context with the timer.
type timed struct {
	context.Context
	cancel context.CancelFunc
}

type callKey struct{}

// withTimer returns the context that has the deadline's timer.
func (c *call) withTimer() context.Context {
	c.once.Do(func() {
		ctx, cancel := context.WithDeadline(c.parent, c.deadline)
		c.timed.Store(&timed{ctx, cancel})
	})
	return c.timed.Load().Context
}

// end returns what the request holds, and stops the timer.
func (c *call) end() {
	c.leave()
	if t := c.timed.Load(); t != nil {
		t.cancel()
	}
}

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *call) Done() <-chan struct{} { return c.withTimer().Done() }

// Err implements context.Context.
func (c *call) Err() error {
	if t := c.timed.Load(); t != nil {
		return t.Err()
	}
	if !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return c.parent.Err()
}

// Value implements context.Context. Once the timer exists, Value asks the context that has it. Package context finds its own
// parent type that way; for a foreign context it would start a goroutine for each child.
func (c *call) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case request.Key{}:
		return c.record
	}
	if t := c.timed.Load(); t != nil {
		return t.Value(key)
	}
	return c.parent.Value(key)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// route records the service and the method that Twirp has found.
func (c *call) route(ctx context.Context) {
	c.record.Class.Service, _ = twirp.ServiceName(ctx)
	c.record.Class.Method, _ = twirp.MethodName(ctx)
}

// refused records the error that the caller gets.
func (c *call) refused(err twirp.Error) {
	c.record.Class.Code, c.reason = err.Code(), err.Meta("reason")
	if c.watched != nil {
		c.watched.err = err
	}
}

// WriteHeader implements http.ResponseWriter. It records the mux's answer to an unknown path, which passes no service, and adds the
// reason to Twirp's errors. To an overload it adds Retry-After, which proxies understand, and to a missing identity WWW-Authenticate
// (RFC 9110, section 11.6.1).
func (c *call) WriteHeader(status int) {
	switch {
	case status == http.StatusTooManyRequests:
		c.Header().Set("Retry-After", "1") // seconds
	case status == http.StatusUnauthorized && c.record.Identity == nil:
		c.Header().Set("WWW-Authenticate", "Bearer")
	}
	if c.record.Class.Code == twirp.NoError && status == http.StatusNotFound {
		c.record.Class.Code, c.reason = twirp.BadRoute, twirpReasons[twirp.BadRoute]
	}
	c.leave()
	if c.instead != nil {
		_ = twirp.WriteError(c.ResponseWriter, *c.instead) // fails if the caller has gone
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *call) Write(b []byte) (int, error) {
	if c.instead != nil {
		return len(b), nil
	}
	if c.server.sending != nil && len(b) > largeAnswer {
		c.server.unsent.add(c.record.Principal, len(b))
		defer c.server.unsent.add(c.record.Principal, -len(b))
		defer c.server.sending(c.ResponseWriter, len(b))()
	}
	n, err := c.ResponseWriter.Write(b)
	c.cut = c.cut || err != nil
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// id returns the request's id. The log has it, and so has the caller's INTERNAL error.
func (c *call) id() string {
	if c.record.ID != "" {
		return c.record.ID
	}
	var b [32]byte // larger than any
	return string(strconv.AppendUint(append(append(b[:0], c.server.prefix...), '-'), c.number, 10))
}

// Who names the caller of a request for an audit: its verified name, or its address if the deployment names no callers.
func Who(ctx context.Context) string {
	c := callOf(ctx)
	if c == nil {
		return "this program"
	}
	if name := c.verified(); name != "" {
		return name
	}
	if c.record.Principal == "" {
		return "anyone"
	}
	return "anyone at " + c.record.Principal
}

// verified returns the name of the caller's identity, "" if it has none.
func (c *call) verified() string {
	if c.caller != nil {
		return c.caller.Name
	}
	if verified := c.record.Identity; verified != nil {
		return callers.ShortARN(verified())
	}
	return ""
}

// callerName returns the caller's verified name. If no caller needs an identity, it returns that of an IAM principal or of the
// program in User-Agent.
func (c *call) callerName() string {
	if c.caller == nil && !c.server.gate.Any() {
		return ""
	}
	if name := c.verified(); name != "" {
		return name
	}
	return product(c.agent)
}
