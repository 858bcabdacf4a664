package rpcserver

import (
	"context"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/request"
)

// Incoming is a request of a protocol that [Server.Handler] does not serve.
type Incoming interface {
	// Class returns the service, the method and the protocol. Its other fields are ignored.
	Class() request.Class
	Urgent() bool
	// Credentials returns what the request brings to prove who sends it.
	Credentials() callers.Credentials
	// Header returns the value of a header. The name is in lower case.
	Header(name string) string
	// SetHeader adds a header to the answer. It is called before Read.
	SetHeader(name, value string)
	// Read reads the message and returns its size in bytes. It need not keep a message of more than MaxBody.
	Read(context.Context) (size int64, err twirp.Error)
	// Message returns the message, after Read.
	Message() any
	// Call calls the method of the service.
	Call(context.Context) (any, error)
	// Encode encodes the response, for the caller. It is work, so the request still has its slot.
	Encode(ctx context.Context, response any) error
}

// Serve bounds, logs and traces a request of another protocol, as [Server.Handler] does for Twirp. The error is for the
// caller.
func (s *Server) Serve(ctx context.Context, in Incoming) twirp.Error {
	start := time.Now()
	c := s.begin(ctx, start)
	c.record.Class, c.agent = in.Class(), in.Header("user-agent")
	if s.tracer != nil {
		if trace := c.trace(in.Header); trace != "" {
			in.SetHeader(TraceResponse, trace)
		}
	}
	defer c.end()
	err := s.take(c, in, start)
	if err != nil {
		c.refused(err)
	}
	c.finish(start)
	return err
}

// take answers the request, or refuses it.
func (s *Server) take(c *call, in Incoming, now time.Time) twirp.Error {
	if !s.gate.Any() {
		if err := c.identify(in.Credentials(), c.record.Class.RPC(), now); err != nil {
			return err
		}
	}
	c.charge(in.Credentials().Connection)
	if in.Urgent() {
		c.kind = limiter.Urgent
	}
	size, err := c.readMessage(in)
	if err != nil {
		return err
	}
	if err := c.enter(c.kindOf(size)); err != nil {
		return err
	}
	response, err := c.answer(c, in.Message(), in.Call)
	if err != nil {
		return err
	}
	if err := in.Encode(c, response); err != nil {
		return c.unencoded(err)
	}
	return nil
}

// readMessage reads the message before the request takes a slot.
func (c *call) readMessage(in Incoming) (int, twirp.Error) {
	if err := c.startReading(); err != nil {
		return 0, err
	}
	defer c.stopReading()
	size, err := in.Read(c)
	switch {
	case err != nil:
		return 0, err
	case size > MaxBody:
		return 0, errBody
	case size > smallBody:
		c.hold(int(size), true)
	}
	return int(size), nil
}
