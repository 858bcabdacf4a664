package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestTraces checks that a shutdown sends the remaining spans, and that a collector that hangs does not prevent the
// shutdown.
func TestTraces(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{false, true} {
		var mu sync.Mutex
		spans := map[string]bool{}
		hold := make(chan struct{})
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // if the body is cut off, spans are missing
			var request coltracepb.ExportTraceServiceRequest
			if err := proto.Unmarshal(body, &request); err != nil {
				t.Errorf("request to the collector: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, s := range request.GetResourceSpans()[0].ScopeSpans {
				for _, span := range s.Spans {
					spans[span.Name] = true
				}
			}
			if hangs {
				<-hold
			}
		}))
		p := start(t, append(outside(testenv.New(t, "plugins", "miniredis")),
			"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_BSP_SCHEDULE_DELAY=3600000"))
		p.post(t, "UserService/GetUser", `{"user_id":"1"}`)
		p.signal(t, syscall.SIGTERM)
		p.wantExit(t, 0)
		close(hold)
		collector.Close()
		for _, name := range []string{"osirose.database.v1.UserService/GetUser", "PIPELINE"} {
			if !spans[name] {
				t.Errorf("collector that hangs: %t; got spans %v, want %s", hangs, spans, name)
			}
		}
	}
}

// TestNoTraces checks that a program without traces has no hooks for them.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	var c app.Options
	closeTraces, err := trace(&c, false)
	if err != nil {
		t.Fatal(err)
	}
	closeTraces()
	if w := c.Telemetry; w.Tracer != nil || w.Queries != nil || w.TraceRedis != nil || w.Finish != nil {
		t.Errorf("Telemetry = %+v, want none", w)
	}
	p := start(t, outside(testenv.New(t, "plugins", "miniredis")))
	r, err := http.Post(p.url+"/twirp/osirose.database.v1.UserService/GetUser", "application/json", strings.NewReader(`{"user_id":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if got := r.Header.Values("Traceresponse"); len(got) != 0 {
		t.Errorf("traceresponse %v without traces, want none", got)
	}
}
