//go:build !otel

package boot_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/boot"
)

func TestNoOTel(t *testing.T) {
	t.Parallel()
	c := boot.Config{TracesTo: "http://hunter2canary/v1/traces"}
	err := boot.TraceFunction(&c)
	if diff := cmp.Diff([]string{"OTEL_EXPORTER_OTLP_ENDPOINT"}, names(err)); diff != "" || !strings.Contains(err.Error(), "tag otel") || strings.Contains(err.Error(), "canary") {
		t.Errorf("TraceFunction = %v names (-want +got):\n%s", err, diff)
	}
	if err := boot.TraceFunction(&boot.Config{}); err != nil {
		t.Errorf("TraceFunction = %v where there are to be no traces", err)
	}
}
