package rpcserver

import (
	"context"
	"time"

	"github.com/twitchtv/twirp"
)

// Incoming is a request that came by another protocol than [Server.Handler].
type Incoming interface {
	// Class has the service, the method and the protocol; the rest is not looked at.
	Class() Class
	Urgent() bool
	// Header returns the value of the header with that name, which is in lower case.
	Header(name string) string
	// SetHeader adds a header to the answer. It is called before Read.
	SetHeader(name, value string)
	// Read reads the message and returns its size in bytes. A message of more than MaxBody need not be kept.
	Read(context.Context) (size int64, err twirp.Error)
	// Call calls the method of the service.
	Call(context.Context) (any, error)
}

// unread is what a message counts as until it was read: what HTTP/2 lets a caller send unasked.
const unread = 64 << 10

// Serve does for a request what [Server.Handler] does for those of its own: it bounds, logs and traces it. The error is for
// the caller to see.
func (s *Server) Serve(ctx context.Context, in Incoming) (response any, err twirp.Error) {
	start := time.Now()
	c := s.begin(ctx, start)
	c.class, c.agent = in.Class(), in.Header("user-agent")
	if s.tracer != nil {
		if trace := c.trace(in.Header); trace != "" {
			in.SetHeader(TraceResponse, trace)
		}
	}
	defer c.end()
	if response, err = s.take(c, in); err != nil {
		c.class.Code = err.Code()
	}
	c.finish(start)
	return response, err
}

// take has the request answered, unless it is refused before.
func (s *Server) take(c *call, in Incoming) (any, twirp.Error) {
	if !s.admission.enter(unread, in.Urgent) {
		return nil, errBusy
	}
	size := int64(unread)
	defer func() { s.admission.leave(size) }()
	read, err := in.Read(c)
	switch {
	case err != nil:
		return nil, err
	case read > MaxBody:
		return nil, errBody
	case read > size:
		s.admission.grow(read - size)
		size = read
	}
	return c.answer(c, in.Call)
}
