package tracing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/testenv"
)

// budget is the time limit for the collector on a test machine.
const budget = 30 * time.Second

// function is a Lambda function on p. Its answer waits at most within for the collector.
func function(p *traced, within time.Duration) *lambdahttp.Adapter {
	return lambdahttp.New(slog.New(slog.NewJSONHandler(p.log, nil)), p.handler).Finish(p.traces.FlushWithin(within))
}

// invoke sends an HTTP API's event for GetUser and returns the answer.
func invoke(t testing.TB, f *lambdahttp.Adapter, parent, id string, headers map[string]string) (status int, header map[string]string, body string) {
	t.Helper()
	all := map[string]string{"content-type": asJSON, "host": "api.example"}
	for name, value := range headers {
		all[name] = value
	}
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "POST /twirp/osirose.database.v1.UserService/{method}", "rawPath": "/twirp/" + getUser,
		"headers": all, "body": `{"user_id":` + strconv.Quote(id) + `}`, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"accountId": "123456789012", "apiId": "api", "stage": "$default", "requestId": "JKJaXmPLvHcESHA=",
			"http": map[string]any{"method": "POST", "path": "/twirp/" + getUser, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if parent != "" {
		ctx = context.WithValue(ctx, "x-amzn-trace-id", parent) //nolint:staticcheck // aws-lambda-go uses this key
	}
	out, err := f.Invoke(ctx, event)
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	var answer struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Body       string            `json:"body"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	header = map[string]string{}
	for name, value := range answer.Headers {
		header[strings.ToLower(name)] = value
	}
	return answer.StatusCode, header, answer.Body
}

// xray returns Lambda's header with a new trace, and that trace.
func xray(n int, more string) (header, trace string) {
	return fmt.Sprintf("Root=1-5759e988-bd862e3fe1be46a99427%04x;Parent=53995c3f42cd8ad8;%s", n, more), fmt.Sprintf("5759e988bd862e3fe1be46a99427%04x", n)
}

// TestFunction checks that the collector has the spans of an invocation when the answer arrives.
func TestFunction(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	p := open(t, e, c.endpoint(), true)
	user, f := e.AddUser(t, "Player1"), function(p, budget)
	run := func(parent string, headers map[string]string) (request *tracepb.Span, traceresponse string) {
		t.Helper()
		before, _ := c.counts()
		_, header, _ := invoke(t, f, parent, user, headers)
		trace, span, _ := splitTrace(t, header["traceresponse"])
		if after, _ := c.counts(); after != before+1 {
			t.Fatalf("%d requests to the collector before the answer, want 1", after-before)
		}
		request, all := c.trace(trace)
		wantTree(t, all, request)
		if len(all) < 2 || hexOf(request.SpanId) != span {
			t.Errorf("%d spans, and the request's span is %x; want spans, and the span in %q", len(all), request.SpanId, header["traceresponse"])
		}
		return request, trace
	}
	w3c := map[string]string{"traceparent": traceparent(callersTrace, "01").Get("traceparent")}

	header, want := xray(1, "Sampled=1;Lineage=1:a87bd80c:0")
	request, trace := run(header, nil)
	if trace != want || hexOf(request.ParentSpanId) != "53995c3f42cd8ad8" || len(request.Links) != 0 {
		t.Errorf("trace %s below %x, %d links; want X-Ray's", trace, request.ParentSpanId, len(request.Links))
	}
	header, want = xray(2, "Sampled=1")
	request, trace = run(header, w3c)
	if trace != want || len(request.Links) != 1 || hexOf(request.Links[0].TraceId) != callersTrace {
		t.Errorf("trace %s, links %v; want X-Ray's, and a link to the caller's", trace, request.Links)
	}
	request, trace = run("", w3c)
	if trace != callersTrace || hexOf(request.ParentSpanId) != callersSpan {
		t.Errorf("without X-Ray: trace %s below %x, want the caller's", trace, request.ParentSpanId)
	}
	for _, none := range []string{"", "Root=1-5759e988-bd862e3fe1be46a994272793", "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "rubbish"} {
		request, trace = run(none, nil)
		made, err := strconv.ParseInt(trace[:8], 16, 64)
		if age := time.Since(time.Unix(made, 0)); err != nil || age < 0 || age > time.Hour || len(request.ParentSpanId) != 0 {
			t.Errorf("X-Ray %q: trace %s, %s old, below %x; want a new trace whose id starts with the time", none, trace, age, request.ParentSpanId)
		}
	}
}

// TestFunctionUnsampled checks that nothing is sent if X-Ray does not record, as in a function without active tracing.
func TestFunctionUnsampled(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	p := open(t, e, c.endpoint(), true)
	user, f := e.AddUser(t, "Player1"), function(p, budget)
	for n, sampled := range []string{"Sampled=0", "Sampled=?", ""} {
		context, want := xray(n, sampled)
		_, header, _ := invoke(t, f, context, user, nil)
		if trace, _, flags := splitTrace(t, header["traceresponse"]); trace != want || flags != "00" {
			t.Errorf("%q: traceresponse %q, want X-Ray's trace with flags 00", sampled, header["traceresponse"])
		}
	}
	if requests, _ := c.counts(); requests != 0 {
		t.Errorf("%d requests to the collector, want none", requests)
	}
}

// TestFunctionCollectorFails checks that a failing collector costs one attempt and one log line without its address.
func TestFunctionCollectorFails(t *testing.T) {
	t.Parallel()
	for what, fail := range map[string]func(*testing.T, *collector){
		"hangs":       func(t *testing.T, c *collector) { c.hang(t) },
		"refuses":     func(_ *testing.T, c *collector) { c.Close() },
		"answers 503": func(_ *testing.T, c *collector) { c.status = http.StatusServiceUnavailable },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
			fail(t, c)
			p := open(t, e, c.endpoint(), true)
			user, f := e.AddUser(t, "Player1"), function(p, 50*time.Millisecond)
			for range 5 {
				status, _, body := invoke(t, f, "", user, nil)
				if late(status) {
					continue // the database timed out on a busy machine
				}
				if status != http.StatusOK || !strings.Contains(body, user) {
					t.Errorf("%d %s, want the user", status, body)
				}
			}
			if requests, _ := c.counts(); requests > 1 {
				t.Errorf("%d requests to the collector within its pause, want 1", requests)
			}
			log := p.log.String()
			if strings.Count(log, "traces are not sent") != 1 || strings.Contains(log, "127.0.0.1") || strings.Contains(log, "v1/traces") {
				t.Errorf("logged %s, want one line about traces, and no address", log)
			}
		})
	}
}
