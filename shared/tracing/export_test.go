package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Provider is for what a library might do with it.
func (t *Traces) Provider() trace.TracerProvider { return t.provider }

// FlushWithin is Flush for a machine that is short of CPU.
func (t *Traces) FlushWithin(d time.Duration) func(context.Context) {
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		_ = t.provider.ForceFlush(ctx)
	}
}
