package rpcserver

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/cache"
)

// Protocol is how a request came in.
type Protocol string

// The protocols. A request that none of them takes has none.
const (
	Protobuf Protocol = "protobuf" // Twirp
	JSON     Protocol = "json"     // Twirp
	GRPC     Protocol = "grpc"
)

func protocolOf(h http.Header) Protocol {
	if kind := h["Content-Type"]; len(kind) > 0 {
		switch {
		case kind[0] == "application/protobuf":
			return Protobuf
		case strings.HasPrefix(kind[0], "application/json"):
			return JSON
		}
	}
	return ""
}

// Class is what requests have in common that are logged and counted alike. There are few.
type Class struct {
	Service, Method string // UserService, GetUser; empty as far as the request was not routed
	Protocol        Protocol
	Code            twirp.ErrorCode // "ok" where there was no error
	Cache           cache.Status
}

// RPC is "UserService/GetUser", empty where the request was not routed.
func (c Class) RPC() string {
	if c.Service == "" {
		return ""
	}
	return c.Service + "/" + c.Method
}

// Observer counts requests.
type Observer interface {
	// Class returns what is called with the time that each request of the class took, when it has been answered. It is asked
	// once for each class.
	Class(Class) func(time.Duration)
}

// Observe has o count the requests from now on. It must be called before the first one.
func (s *Server) Observe(o Observer) { s.lines.observer = o }

// TraceResponse is the header that tells a caller under which trace his request was recorded, in the form of traceparent.
// https://www.w3.org/TR/trace-context-2/
const TraceResponse = "traceresponse"

// Tracer records requests as spans.
type Tracer interface {
	// Start begins a request's span, below the one that the request names in its headers or that ctx has from the platform.
	// The context returned has it. The response, if not empty, is the value for TraceResponse.
	Start(ctx context.Context, header func(name string) string) (_ context.Context, response string)
	// End ends the span of Start's context.
	End(context.Context, Class)
}

// Trace has t record the requests from now on. It must be called before the first one.
func (s *Server) Trace(t Tracer) { s.tracer = t }

// trace begins the span.
func (c *call) trace(header func(string) string) (response string) {
	c.parent, response = c.server.tracer.Start(c.parent, header)
	if parts := strings.Split(response, "-"); len(parts) > 1 {
		c.traceID = parts[1]
	}
	return response
}

// finish is called when the request has been answered.
func (c *call) finish(start time.Time) {
	if c.class.Code == twirp.NoError {
		c.class.Code = "ok"
	}
	if t := c.server.tracer; t != nil {
		t.End(c.parent, c.class)
	}
	c.server.lines.write(c, start)
}
