package cache

import (
	"context"
	"errors"
	"net"
	"sync"
)

const (
	// maxCalls is how many calls with lookups are under way at once. With one, a connection that is dead would stop all lookups.
	maxCalls = 2
	// maxBatch is how many lookups share a call. Each has its reply when all have theirs. About 512 requests are served at once, so a
	// lookup waits for about four calls at most.
	maxBatch = 64
)

// batches sends lookups to Redis. While few calls are under way, each lookup is a call. Further lookups wait, and those that wait when a
// call ends share the next one. A call costs this process about as much as the rest of a hit, so a batch is far cheaper than a call for each.
// Batches grow with the load. Without load no lookup waits.
type batches struct {
	report func(error) error // is called once for each call, with its error

	mu      sync.Mutex
	calls   int
	waiting []*lookup
}

// run looks up l, alone or with others. A caller that gives up is not noticed: the wait is short.
func (b *batches) run(l *lookup) error {
	b.mu.Lock()
	if b.calls < maxCalls {
		b.calls++
		b.mu.Unlock()
		return b.call(l, nil)
	}
	b.waiting = append(b.waiting, l)
	b.mu.Unlock()
	return <-l.done
}

// call makes a call for l and others, and starts the next one. Its error is reported once: one dead connection is one failure.
func (b *batches) call(l *lookup, others []*lookup) error {
	err := errPanicked
	defer func() {
		_ = b.report(err)
		for _, o := range others {
			o.done <- o.errAfter(err)
		}
		b.next(err)
	}()
	err = l.exec(context.Background(), others)
	return l.errAfter(err)
}

// callFor makes a call for lookups that wait. It has a goroutine, because go-redis needs 2 kB of stack and more: a request that made the
// call would need 16 kB, and the others need 8.
func (b *batches) callFor(batch []*lookup) {
	err := errPanicked
	defer func() {
		_ = recover() // the caller's request goes on without Redis
		batch[0].done <- err
	}()
	err = b.call(batch[0], batch[1:])
}

// next starts the call after one that ended with err. After a timeout all lookups that wait fail, too: they would wait for another one.
func (b *batches) next(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		for _, l := range b.waiting {
			l.done <- err
		}
		b.waiting = nil
	}
	if len(b.waiting) == 0 {
		b.calls--
		return
	}
	batch := b.waiting
	b.waiting = nil
	if len(batch) > maxBatch {
		batch, b.waiting = batch[:maxBatch:maxBatch], batch[maxBatch:]
	}
	go b.callFor(batch)
}
