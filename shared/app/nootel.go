//go:build !otel

package app

import "errors"

// traceFunction refuses traces. This build has no exporter, because it adds 12 MB to a function and a fifth to the time
// of its start.
func traceFunction(o *Options) error {
	if o.TracesTo != "" {
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) needs a build with the tag otel (scripts/build -otel)")
	}
	return nil
}
