package tracing

import (
	"context"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxHeld is how many spans a function holds for the end of an invocation; a request has some ten.
	maxHeld = 2048
	// pause is for how long a collector that did not take spans is left alone: else each answer would wait for it.
	pause = 10 * time.Second
)

// held keeps the spans of a function until they are asked for, since a function is frozen between two invocations: the
// SDK's own batches are sent by a goroutine with a timer.
type held struct {
	exporter sdk.SpanExporter
	now      func() time.Time

	mu     sync.Mutex
	spans  []sdk.ReadOnlySpan
	paused time.Time // until then
}

// OnStart implements sdk.SpanProcessor.
func (*held) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (h *held) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.spans) < maxHeld {
		h.spans = append(h.spans, s)
	}
}

// ForceFlush implements sdk.SpanProcessor. Spans are tried once.
func (h *held) ForceFlush(ctx context.Context) error {
	h.mu.Lock()
	spans := h.spans
	h.spans = nil
	skip := len(spans) == 0 || h.now().Before(h.paused)
	h.mu.Unlock()
	if skip {
		return nil
	}
	err := h.exporter.ExportSpans(ctx, spans)
	if err != nil {
		h.mu.Lock()
		h.paused = h.now().Add(pause)
		h.mu.Unlock()
	}
	return err
}

// Shutdown implements sdk.SpanProcessor.
func (h *held) Shutdown(ctx context.Context) error {
	_ = h.ForceFlush(ctx) // the exporter has logged it
	return h.exporter.Shutdown(ctx)
}
