package main

import (
	"fmt"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/tracing"
)

// trace turns on traces for the program, or for the functions in it, if c names a collector. The caller calls closeTraces at
// the end of the program, to send the remaining spans.
func trace(c *app.Options, function bool) (closeTraces func(), err error) {
	if c.TracesTo == "" {
		return func() {}, nil
	}
	t, err := tracing.Open(tracing.Options{Endpoint: c.TracesTo, Log: app.Logger(*c), Function: function})
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	c.Telemetry.Trace(t, function)
	return t.Close, nil
}
