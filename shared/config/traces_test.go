package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/config"
)

// TestTracesTo reads OpenTelemetry's variables: where traces go, and which variable is wrong.
func TestTracesTo(t *testing.T) {
	t.Parallel()
	const endpoint, of, protocol, sampler = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_SAMPLER"
	const collector = "http://collector:4318"
	for what, test := range map[string]struct {
		environment map[string]string
		want        string
		wrong       []string
	}{
		"nothing is set":     {nil, "", nil},
		"others are set":     {map[string]string{"OTEL_SERVICE_NAME": "x", protocol: "grpc", sampler: "x"}, "", nil},
		"a collector":        {map[string]string{endpoint: collector}, collector + "/v1/traces", nil},
		"with a path":        {map[string]string{endpoint: "https://collector/otlp/"}, "https://collector/otlp/v1/traces", nil},
		"one for traces":     {map[string]string{endpoint: collector, of: "https://traces/x"}, "https://traces/x", nil},
		"its SDK is off":     {map[string]string{endpoint: collector, "OTEL_SDK_DISABLED": "TRUE"}, "", nil},
		"its traces are off": {map[string]string{endpoint: collector, "OTEL_TRACES_EXPORTER": "none"}, "", nil},
		"all settings":       {map[string]string{endpoint: collector, protocol: "http/protobuf", sampler: "traceidratio", sampler + "_ARG": "0.5", "OTEL_TRACES_EXPORTER": "otlp"}, collector + "/v1/traces", nil},
		"gRPC":               {map[string]string{endpoint: collector, protocol: "grpc"}, "", []string{protocol}},
		"gRPC for traces":    {map[string]string{endpoint: collector, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "", []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}},
		"no URL":             {map[string]string{endpoint: "hunter2canary:4318"}, "", []string{endpoint}},
		"no URL for traces":  {map[string]string{of: "ftp://hunter2canary"}, "", []string{of}},
		"a login":            {map[string]string{endpoint: "http://u:hunter2canary@collector"}, "", []string{endpoint}},
		"another exporter":   {map[string]string{endpoint: collector, "OTEL_TRACES_EXPORTER": "zipkin"}, "", []string{"OTEL_TRACES_EXPORTER"}},
		"another sampler":    {map[string]string{endpoint: collector, sampler: "xray"}, "", []string{sampler}},
		"a share of 2":       {map[string]string{endpoint: collector, sampler: "parentbased_traceidratio", sampler + "_ARG": "2"}, "", []string{sampler + "_ARG"}},
		"a share of NaN":     {map[string]string{endpoint: collector, sampler: "traceidratio", sampler + "_ARG": "NaN"}, "", []string{sampler + "_ARG"}},
	} {
		c, err := config.Read(environment(test.environment))
		if diff := cmp.Diff(test.wrong, names(err)); diff != "" {
			t.Errorf("%s: Read = %v names (-want +got):\n%s", what, err, diff)
		}
		if err == nil && c.TracesTo != test.want {
			t.Errorf("%s: traces go to %q, want %q", what, c.TracesTo, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2canary") {
			t.Errorf("%s: Read = %v, which repeats a value", what, err)
		}
	}
}
