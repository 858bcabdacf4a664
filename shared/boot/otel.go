//go:build otel

package boot

import (
	"fmt"

	"github.com/osirose-new/database-service/shared/tracing"
)

// traceFunction has a function's requests traced where c says so.
func traceFunction(c *Config) error {
	if c.TracesTo == "" {
		return nil
	}
	t, err := tracing.Open(tracing.Options{Endpoint: c.TracesTo, Log: Logger(*c), Function: true})
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	c.Telemetry.Trace(t, true)
	return nil
}
