package rpcserver

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/request"
)

// protocolOf reads Content-Type as Twirp does.
func protocolOf(h http.Header) request.Protocol {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch strings.TrimSpace(strings.ToLower(mediaType)) {
	case "application/protobuf":
		return request.Protobuf
	case "application/json":
		return request.JSON
	}
	return ""
}

// Observer counts requests.
type Observer interface {
	// Class returns a function that is called with the duration of each request of the class, after it was answered. Class is
	// called once for each class.
	Class(request.Class) func(time.Duration)
}

// Observe passes all requests to o, which may be nil. It must be called before the first request.
func (s *Server) Observe(o Observer) { s.log.observer = o }

// largeAnswer is the size in bytes above which an answer is reported to Sending.
const largeAnswer = 1 << 10

// Sending makes begin know of each large answer of Handler that is being written, until done is called: the limits of requests end before.
// It must be called before the first request.
func (s *Server) Sending(begin func(to http.ResponseWriter, size int) (done func())) {
	s.sending = begin
}

// TraceResponse is the header that tells a caller the trace of its request. The value has the form of traceparent.
// https://www.w3.org/TR/trace-context-2/
const TraceResponse = "traceresponse"

// Tracer records requests as spans.
type Tracer interface {
	// Start begins the span of a request. Its parent is the span that the request's headers name, or that the platform has put
	// into ctx. The returned context has the span. If response is not empty, it is the value of TraceResponse.
	Start(ctx context.Context, header func(name string) string) (_ context.Context, response string)
	// End ends the span in a context that Start has returned.
	End(context.Context, request.Class)
}

// Trace makes t, which may be nil, record all requests. It must be called before the first request.
func (s *Server) Trace(t Tracer) { s.tracer = t }

// trace begins the span.
func (c *call) trace(header func(string) string) (response string) {
	c.parent, response = c.server.tracer.Start(c.parent, header)
	if parts := strings.Split(response, "-"); len(parts) > 1 {
		c.traceID = parts[1]
	}
	return response
}

// finish completes the record of an answered request, and passes it to the tracer, the observer, the log and the watcher.
func (c *call) finish(start time.Time) {
	r := c.record
	if r.Class.Code == twirp.NoError {
		r.Class.Code = ok
	}
	if t := c.server.tracer; t != nil {
		t.End(c.parent, r.Class)
	}
	now := time.Now()
	r.Took = now.Sub(start)
	c.server.log.write(c, now)
	c.tellWatcher()
}
