//go:build !otel

package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
)

func TestNoOTel(t *testing.T) {
	t.Parallel()
	c := app.Options{Config: config.Config{TracesTo: "http://hunter2canary/v1/traces"}}
	err := app.TraceFunction(&c)
	if diff := cmp.Diff([]string{"OTEL_EXPORTER_OTLP_ENDPOINT"}, names(err)); diff != "" || !strings.Contains(err.Error(), "tag otel") || strings.Contains(err.Error(), "canary") {
		t.Errorf("TraceFunction = %v names (-want +got):\n%s", err, diff)
	}
	if err := app.TraceFunction(&app.Options{}); err != nil {
		t.Errorf("TraceFunction without traces = %v, want nil", err)
	}
}
