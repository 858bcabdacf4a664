//go:build !otel

package boot

import "errors"

// traceFunction refuses traces, whose exporter is not linked: it is 12 MB, and a fifth of a function's start.
func traceFunction(c *Config) error {
	if c.TracesTo != "" {
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) needs a build with the tag otel (scripts/build -otel)")
	}
	return nil
}
