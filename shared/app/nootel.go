//go:build !otel

package app

import "errors"

// traceFunction refuses traces. This build omits their exporter, which adds 12 MB and a fifth to a function's start.
func traceFunction(o *Options) error {
	if o.TracesTo != "" {
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) needs a build with the tag otel (scripts/build -otel)")
	}
	return nil
}
