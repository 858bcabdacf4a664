package main

import (
	"fmt"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/tracing"
)

// trace has the program of c traced where c says so, or the functions in it. What it returns sends what is left, and is
// called when the program has done its work.
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
