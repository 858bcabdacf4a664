package rpcserver

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/cache"
)

// call is the state of one request, its context and the writer of its response, so that it costs one allocation. The
// timer of its deadline is made when somebody waits for it: a hit never does.
type call struct {
	http.ResponseWriter
	parent   context.Context
	deadline time.Time
	timed    atomic.Pointer[timed]
	once     sync.Once

	server  *Server
	number  uint64
	origin  *Origin // nil: the request came over a network
	class   Class
	agent   string // what the caller's client says of itself
	traceID string // under which it is recorded; empty: it is not
	cause   string // of an error that the caller does not get to see
}

type timed struct {
	context.Context
	cancel context.CancelFunc
}

type callKey struct{}

// full is the parent with the deadline.
func (c *call) full() context.Context {
	c.once.Do(func() {
		ctx, cancel := context.WithDeadline(c.parent, c.deadline)
		c.timed.Store(&timed{ctx, cancel})
	})
	return c.timed.Load().Context
}

// end stops the timer.
func (c *call) end() {
	if t := c.timed.Load(); t != nil {
		t.cancel()
	}
}

// Deadline implements context.Context.
func (c *call) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *call) Done() <-chan struct{} { return c.full().Done() }

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

// Value implements context.Context. Once there is a timer it asks the context that has it: package context looks there
// for whom to tell of the end, and would start a goroutine for a context that it does not know.
func (c *call) Value(key any) any {
	switch key {
	case callKey{}:
		return c
	case cache.StatusKey{}:
		return &c.class.Cache
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

func (c *call) name(ctx context.Context) {
	c.class.Service, _ = twirp.ServiceName(ctx)
	c.class.Method, _ = twirp.MethodName(ctx)
}

// WriteHeader implements http.ResponseWriter. It sees the answer that no service gave, the mux's to an unknown path; and
// says of an overload in HTTP's words, which proxies know, when to come again.
func (c *call) WriteHeader(status int) {
	if status == http.StatusTooManyRequests {
		c.Header().Set("Retry-After", "1") // seconds
	}
	if c.class.Code == twirp.NoError && status == http.StatusNotFound {
		c.class.Code = twirp.BadRoute
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// id names the request in the log, and to the caller of an INTERNAL.
func (c *call) id() string {
	if o := c.origin; o != nil && o.RequestID != "" {
		return o.RequestID
	}
	return c.server.prefix + "-" + strconv.FormatUint(c.number, 10)
}

// caller names who asked, as far as somebody vouches for that, else the program that asked.
func (c *call) caller() string {
	if o := c.origin; o != nil && o.Caller != nil {
		if name := o.Caller(); name != "" {
			return name
		}
	}
	return product(c.agent)
}
