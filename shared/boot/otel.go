//go:build otel

package boot

import (
	"context"
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
	w := &c.Telemetry
	w.Tracer, w.Queries, w.TraceRedis = t.Requests(), t.Queries(), t.Redis
	before := w.Finish
	w.Finish = func(ctx context.Context) {
		if before != nil {
			before(ctx)
		}
		t.Flush(ctx)
	}
	return nil
}
