package sigv4

import (
	"context"
	"time"
)

// SetClock gives t another clock, and another way to wait; call it before the first request.
func (t *Transport) SetClock(now func() time.Time, wait func(context.Context, time.Duration) error) {
	t.now, t.wait = now, wait
}
