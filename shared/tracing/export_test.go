package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Provider returns the provider, for tests that act as a library.
func (t *Traces) Provider() trace.TracerProvider { return t.provider }

// FlushWithin is Flush with the time limit d.
func (t *Traces) FlushWithin(d time.Duration) func(context.Context) {
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		_ = t.provider.ForceFlush(ctx)
	}
}
