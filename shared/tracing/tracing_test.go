package tracing_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

// traceOf returns the trace id of caller n.
func traceOf(n int) string { return fmt.Sprintf("%s%04x", callersTrace[:28], n) }

// traceparent returns the header for the caller's span. flags are 00 or 01.
func traceparent(trace, flags string) http.Header {
	return http.Header{"Traceparent": {"00-" + trace + "-" + callersSpan + "-" + flags}, "Tracestate": {"vendor=t61rcWkgMzE"}}
}

// TestTrace follows a caller's trace through a miss, a hit and errors, by both protocols.
func TestTrace(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		user, c := e.AddUser(t, "Player1"), startCollector(t)
		url := serve(t, open(t, e, c.endpoint(), false).handler)
		n := 0
		follow := func(contentType, id string) (*tracepb.Span, []*tracepb.Span) {
			n++
			_, header, _ := call(t, url, getUser, contentType, traceparent(traceOf(n), "01"), &databasev1.GetUserRequest{UserId: id})
			trace, span, flags := splitTrace(t, header.Get("traceresponse"))
			request, all := c.trace(trace)
			if trace != traceOf(n) || span != hexOf(request.SpanId) || flags != "01" {
				t.Errorf("traceresponse %q, want trace %s, span %x", header.Get("traceresponse"), traceOf(n), request.SpanId)
			}
			if hexOf(request.ParentSpanId) != callersSpan || request.TraceState != "vendor=t61rcWkgMzE" {
				t.Errorf("the request's span is below %x with %q, want the caller's", request.ParentSpanId, request.TraceState)
			}
			wantTree(t, all, request)
			return request, all
		}
		for request, all := follow(asProtobuf, user); ; request, all = follow(asProtobuf, user) {
			if attributes(request)["rpc.response.status_code"] == "ok" && attributes(request)["database_service.cache"] == "miss" {
				wantSpan(t, request, getUser, tracepb.Status_STATUS_CODE_UNSET, ofRequest("protobuf", "ok", "miss"))
				wantSome(t, all, map[string]string{"SELECT": "postgresql", "PIPELINE": "redis", "EVALSHA": "redis"})
				break
			}
		}
		for request, all := follow(asJSON, user); ; request, all = follow(asJSON, user) {
			if attributes(request)["database_service.cache"] == "hit" {
				wantSpan(t, request, getUser, tracepb.Status_STATUS_CODE_UNSET, ofRequest("json", "ok", "hit"))
				wantSome(t, all, map[string]string{"PIPELINE": "redis"})
				break
			}
		}
		request, _ := follow(asJSON, "")
		wantSpan(t, request, getUser, tracepb.Status_STATUS_CODE_UNSET, ofRequest("json", "invalid_argument", ""))
		e.RDProxy.Refuse()
		e.PGProxy.Refuse()
		request, _ = follow(asJSON, user)
		want := ofRequest("json", "unavailable", attributes(request)["database_service.cache"].(string))
		want["error.type"] = "unavailable"
		wantSpan(t, request, getUser, tracepb.Status_STATUS_CODE_ERROR, want)
		if c.resource["service.name"] != "database-service" {
			t.Errorf("resource: %v, want service.name database-service", c.resource)
		}
	})
}

func ofRequest(protocol, code, cache string) map[string]any {
	m := map[string]any{
		"rpc.system.name": "twirp", "rpc.method": getUser, "rpc.response.status_code": code,
		"database_service.protocol": protocol, "database_service.cache": cache,
	}
	if cache == "" {
		delete(m, "database_service.cache")
	}
	return m
}

func wantSpan(t testing.TB, s *tracepb.Span, name string, status tracepb.Status_StatusCode, want map[string]any) {
	t.Helper()
	if s.Name != name || s.Status.GetCode() != status {
		t.Errorf("span %q %v, want %q %v", s.Name, s.Status, name, status)
	}
	if diff := cmp.Diff(want, attributes(s)); diff != "" {
		t.Errorf("attributes of %s (-want +got):\n%s", s.Name, diff)
	}
}

// wantTree checks that every span is below the request's.
func wantTree(t testing.TB, all []*tracepb.Span, request *tracepb.Span) {
	t.Helper()
	parents := map[string]string{}
	for _, s := range all {
		parents[hexOf(s.SpanId)] = hexOf(s.ParentSpanId)
	}
	for _, s := range all {
		id := hexOf(s.SpanId)
		for ; id != hexOf(request.SpanId) && id != ""; id = parents[id] {
		}
		if id == "" {
			t.Errorf("span %s is not below the request's", s.Name)
		}
	}
}

// wantSome checks the names of the spans, and the systems of their calls.
func wantSome(t testing.TB, all []*tracepb.Span, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, s := range all {
		system, _ := attributes(s)["db.system.name"].(string)
		if want[s.Name] == system && s.Kind == tracepb.Span_SPAN_KIND_CLIENT {
			got[s.Name] = system
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans below the request's (-want +got):\n%s", diff)
	}
}

// TestSampling checks that a request sends no spans if its caller does not record, and that a request without a trace
// gets a new one. Spans arrive in order, so when the last request's spans have arrived, no earlier spans can follow.
func TestSampling(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	url := serve(t, open(t, e, c.endpoint(), false).handler)
	request := &databasev1.GetUserRequest{UserId: e.AddUser(t, "Player1")}
	for n := range 3 {
		_, header, _ := call(t, url, getUser, asProtobuf, traceparent(traceOf(n), "00"), request)
		if trace, span, flags := splitTrace(t, header.Get("traceresponse")); trace != traceOf(n) || span == callersSpan || flags != "00" {
			t.Errorf("traceresponse %q, want trace %s with flags 00", header.Get("traceresponse"), traceOf(n))
		}
	}
	seen := map[string]bool{}
	for _, header := range []http.Header{nil, {"Traceparent": {"00-" + callersTrace + "-0000000000000000-01"}}, {"Traceparent": {"rubbish"}}} {
		_, answer, _ := call(t, url, getUser, asProtobuf, header, request)
		trace, _, flags := splitTrace(t, answer.Get("traceresponse"))
		if trace == callersTrace || flags != "01" || seen[trace] {
			t.Errorf("%v: traceresponse %q, want a new, recorded trace", header, answer.Get("traceresponse"))
		}
		seen[trace] = true
		if span, _ := c.trace(trace); len(span.ParentSpanId) != 0 {
			t.Errorf("%v: the request's span is below %x, want none", header, span.ParentSpanId)
		}
	}
	for _, s := range c.wait(func([]*tracepb.Span) bool { return true }) {
		if !seen[hexOf(s.TraceId)] {
			t.Errorf("span %s of trace %x was sent, although its caller does not record", s.Name, s.TraceId)
		}
	}
}

// TestUnrouted checks that a span contains nothing of an unknown path: the caller chooses the path.
func TestUnrouted(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	url := serve(t, open(t, e, c.endpoint(), false).handler)
	_, header, _ := send(t, url+"hunter2/canary", asJSON, nil, []byte("{}"))
	trace, _, _ := splitTrace(t, header.Get("traceresponse"))
	request, _ := c.trace(trace)
	wantSpan(t, request, "request", tracepb.Status_STATUS_CODE_UNSET, map[string]any{
		"rpc.system.name": "twirp", "rpc.response.status_code": "bad_route", "database_service.protocol": "json",
	})
}

// TestBackground checks that work outside a request has no span.
func TestBackground(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	p := open(t, e, c.endpoint(), false)
	if err := p.Redis.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DB.Changes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	p.traces.FlushWithin(budget)(t.Context())
	if requests, spans := c.counts(); requests != 0 || spans != 0 {
		t.Errorf("%d requests to the collector with %d spans, want none", requests, spans)
	}
}
