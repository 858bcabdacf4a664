//go:build otel

package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/request"
)

// TestOTel checks that Finish sends the spans of an invocation after everything else that it does.
func TestOTel(t *testing.T) {
	t.Parallel()
	off := app.Options{}
	if err := app.TraceFunction(&off); err != nil || off.Telemetry.Tracer != nil || off.Telemetry.Queries != nil || off.Telemetry.TraceRedis != nil || off.Telemetry.Finish != nil {
		t.Errorf("TraceFunction without traces = %v, %+v, want nothing", err, off.Telemetry)
	}
	var order []string
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { order = append(order, "sent") }))
	defer collector.Close()
	c := app.Options{Config: config.Config{TracesTo: collector.URL}, LogTo: io.Discard}
	c.Telemetry.Finish = func(context.Context) { order = append(order, "finish") }
	if err := app.TraceFunction(&c); err != nil {
		t.Fatal(err)
	}
	if c.Telemetry.Queries == nil || c.Telemetry.TraceRedis == nil {
		t.Error("statements and calls to Redis are not traced")
	}
	ctx, _ := c.Telemetry.Tracer.Start(t.Context(), func(string) string { return "" })
	c.Telemetry.Tracer.End(ctx, request.Class{})
	c.Telemetry.Finish(t.Context())
	if len(order) != 2 || order[0] != "finish" || order[1] != "sent" {
		t.Errorf("the order of Finish is %v, want the earlier function and then sent", order)
	}
}
