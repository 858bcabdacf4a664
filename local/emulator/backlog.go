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
	empty  chan struct{} // closed when the backlog is closed and count is 0
}

// begin adds one. It returns false if the backlog is full or closed.
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
		close(b.empty)
	}
}

// close refuses new invocations, and waits until all have ended or ctx has.
func (b *backlog) close(ctx context.Context) {
	b.mu.Lock()
	if !b.closed && b.count == 0 {
		close(b.empty)
	}
	b.closed = true
	b.mu.Unlock()
	select {
	case <-b.empty:
	case <-ctx.Done():
	}
}
