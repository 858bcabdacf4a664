package emulator

import (
	"context"
	"sync"
)

// backlog counts the asynchronous invocations that wait or run.
type backlog struct {
	mu     sync.Mutex
	count  int
	closed bool
	none   chan struct{} // closed when it is closed and none is left
}

// begin reports whether there is room for one more.
func (b *backlog) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.count == maxEvents {
		return false
	}
	b.count++
	return true
}

func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count--
	if b.closed && b.count == 0 {
		close(b.none)
	}
}

// close takes no more, and waits until all have ended or ctx has.
func (b *backlog) close(ctx context.Context) {
	b.mu.Lock()
	if !b.closed && b.count == 0 {
		close(b.none)
	}
	b.closed = true
	b.mu.Unlock()
	select {
	case <-b.none:
	case <-ctx.Done():
	}
}
