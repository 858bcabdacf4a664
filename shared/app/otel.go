//go:build otel

package app

import (
	"fmt"

	"github.com/osirose-new/database-service/shared/tracing"
)

// traceFunction traces a function's requests, if the configuration names a collector.
func traceFunction(o *Options) error {
	if o.TracesTo == "" {
		return nil
	}
	t, err := tracing.Open(tracing.Options{Endpoint: o.TracesTo, Log: Logger(*o), Function: true})
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	o.Telemetry.Trace(t, true)
	return nil
}
