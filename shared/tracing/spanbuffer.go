package tracing

import (
	"context"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxSpans is the size of the buffer. A request has about ten spans; more than maxSpans are dropped.
	maxSpans = 2048
	// pause is how long no spans are sent after the collector failed. Without it each answer would wait for the collector.
	pause = 10 * time.Second
)

// spanBuffer keeps the spans of a function until ForceFlush. The SDK's batches cannot be used: a goroutine with a timer sends
// them, and a function is frozen between invocations.
type spanBuffer struct {
	exporter sdk.SpanExporter
	now      func() time.Time

	mu     sync.Mutex
	spans  []sdk.ReadOnlySpan
	paused time.Time // until then
}

// OnStart implements sdk.SpanProcessor.
func (*spanBuffer) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (b *spanBuffer) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.spans) < maxSpans {
		b.spans = append(b.spans, s)
	}
}

// ForceFlush implements sdk.SpanProcessor. It sends the spans once, without a retry.
func (b *spanBuffer) ForceFlush(ctx context.Context) error {
	b.mu.Lock()
	spans := b.spans
	b.spans = nil
	skip := len(spans) == 0 || b.now().Before(b.paused)
	b.mu.Unlock()
	if skip {
		return nil
	}
	err := b.exporter.ExportSpans(ctx, spans)
	if err != nil {
		b.mu.Lock()
		b.paused = b.now().Add(pause)
		b.mu.Unlock()
	}
	return err
}

// Shutdown implements sdk.SpanProcessor.
func (b *spanBuffer) Shutdown(ctx context.Context) error {
	_ = b.ForceFlush(ctx) // the cleaner logs the error
	return b.exporter.Shutdown(ctx)
}
