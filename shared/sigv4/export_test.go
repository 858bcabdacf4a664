package sigv4

import (
	"context"
	"time"
)

// SetClock sets t's clock and its way to wait. Call it before the first request.
func (t *Transport) SetClock(now func() time.Time, wait func(context.Context, time.Duration) error) {
	t.now, t.wait = now, wait
}
