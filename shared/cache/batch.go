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
		if next := b.call([]*lookup{l}); next != nil {
			go b.lead(next)
		}
	} else {
		b.waiting = append(b.waiting, l)
		b.mu.Unlock()
	}
	return <-l.done
}

// lead makes calls until no lookup waits. It has a goroutine, because go-redis needs 2 kB of stack and more: a request that made such
// calls would need 16 kB, and the others need 8.
func (b *batches) lead(batch []*lookup) {
	for batch != nil {
		batch = b.call(batch)
	}
}

// call makes a call for a batch, and returns the batch of the next call. Its error is reported once: one dead connection is one failure.
// If it panics, the requests go on without Redis.
func (b *batches) call(batch []*lookup) (next []*lookup) {
	err := errPanicked
	defer func() {
		_ = recover()
		_ = b.report(err)
		for _, l := range batch {
			l.done <- l.errAfter(err)
		}
		next = b.next(err)
	}()
	err = batch[0].exec(context.Background(), batch[1:])
	return nil
}

// next returns the lookups of the call after one that ended with err. After a timeout all lookups that wait fail, too: they would wait for
// another one.
func (b *batches) next(err error) []*lookup {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		for _, l := range b.waiting {
			l.done <- err
		}
		b.waiting = nil
	}
	batch := b.waiting
	if len(batch) == 0 {
		b.calls--
		return nil
	}
	b.waiting = nil
	if len(batch) > maxBatch {
		batch, b.waiting = batch[:maxBatch:maxBatch], batch[maxBatch:]
	}
	return batch
}
