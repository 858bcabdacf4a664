package tracing_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is a minimal OpenTelemetry collector.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	changed  *sync.Cond
	raw      bytes.Buffer // all bytes that were sent
	spans    []*tracepb.Span
	resource map[string]string
	requests int
	hold     chan struct{} // answers wait until it is closed; nil: they do not wait
	status   int           // 0: 200
}

func startCollector(t testing.TB) *collector {
	t.Helper()
	c := &collector{resource: map[string]string{}}
	c.changed = sync.NewCond(&c.mu)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender gave up
		}
		hold, status := c.take(t, r, body)
		if hold != nil {
			<-hold
		}
		if status != 0 {
			http.Error(w, "no", status)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// hang makes the collector accept requests and answer none until the test ends.
func (c *collector) hang(t testing.TB) {
	t.Helper()
	c.hold = make(chan struct{})
	t.Cleanup(func() { close(c.hold) })
}

func (c *collector) endpoint() string { return c.URL + "/v1/traces" }

func (c *collector) take(t testing.TB, r *http.Request, body []byte) (hold chan struct{}, status int) {
	var request coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("%s, %s to the collector: %v, want OTLP", r.URL.Path, r.Header.Get("Content-Type"), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Broadcast()
	c.requests++
	c.raw.Write(body)
	for _, of := range request.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			c.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, s := range of.ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}
	return c.hold, c.status
}

// wait returns the spans when done returns true for them.
func (c *collector) wait(done func([]*tracepb.Span) bool) []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done(c.spans) {
		c.changed.Wait()
	}
	return c.spans
}

// trace waits for the request's span of a trace, which ends last, and returns the spans of that trace.
func (c *collector) trace(id string) (request *tracepb.Span, all []*tracepb.Span) {
	c.wait(func(spans []*tracepb.Span) bool {
		request, all = nil, nil
		for _, s := range spans {
			if hexOf(s.TraceId) != id {
				continue
			}
			all = append(all, s)
			if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
				request = s
			}
		}
		return request != nil
	})
	return request, all
}

func (c *collector) counts() (requests, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests, len(c.spans)
}

// attributes returns the attributes of a span, which are all strings or numbers.
func attributes(s *tracepb.Span) map[string]any {
	m := map[string]any{}
	for _, a := range s.Attributes {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[a.Key] = v.IntValue
		default:
			m[a.Key] = a.Value.String()
		}
	}
	return m
}
