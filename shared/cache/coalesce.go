package cache

import (
	"context"
	"errors"
	"sync"
)

// coalescer lets readers of one key share a load. Each key of a process has at most one load running and one waiting. A
// reader joins only a load that has not started: a load that has started may have read before a write that this reader
// must see. Package singleflight of x/sync joins running loads, so it cannot take this one's place. Its Forget does not
// help: then every reader after a write would load on its own.
type coalescer struct {
	mu sync.Mutex
	m  map[string]*slot
}

type slot struct {
	running, next *sharedLoad
}

type sharedLoad struct {
	done    chan struct{}
	waiting int // readers, while it has not started
	entry   Entry
	err     error
	gaveUp  bool // the leader's caller did, so err says nothing to the others
}

// do returns what a load returns that has started after the call of do.
func (c *coalescer) do(ctx context.Context, key string, load func() (Entry, error)) (Entry, error) {
	c.mu.Lock()
	s := c.m[key]
	if s == nil {
		if c.m == nil {
			c.m = map[string]*slot{}
		}
		s = &slot{running: &sharedLoad{done: make(chan struct{})}}
		c.m[key] = s
		c.mu.Unlock()
		return c.lead(ctx, key, s, s.running, load)
	}
	if s.next == nil {
		s.next = &sharedLoad{done: make(chan struct{})}
	}
	before, mine := s.running, s.next
	mine.waiting++
	c.mu.Unlock()

	select {
	case <-before.done:
	case <-ctx.Done():
		c.leave(key, s, mine)
		return Entry{}, ctx.Err()
	}
	c.mu.Lock()
	if s.next == mine { // the first to wake leads
		s.running, s.next = mine, nil
		c.mu.Unlock()
		return c.lead(ctx, key, s, mine, load)
	}
	c.mu.Unlock()
	return c.follow(ctx, key, mine, load)
}

// lead loads for all readers that wait for mine.
func (c *coalescer) lead(ctx context.Context, key string, s *slot, mine *sharedLoad, load func() (Entry, error)) (Entry, error) {
	mine.err = errPanicked
	defer func() {
		c.mu.Lock()
		mine.gaveUp = mine.err != nil && ctx.Err() != nil
		c.drop(key, s)
		close(mine.done)
		c.mu.Unlock()
	}()
	mine.entry, mine.err = load()
	return mine.entry, mine.err
}

// follow waits for a load that another reader leads. If that reader's caller gives up, it starts anew.
func (c *coalescer) follow(ctx context.Context, key string, mine *sharedLoad, load func() (Entry, error)) (Entry, error) {
	select {
	case <-mine.done:
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
	if mine.gaveUp {
		return c.do(ctx, key, load)
	}
	return mine.entry, mine.err
}

// leave is for a reader whose caller gives up while mine has not started.
func (c *coalescer) leave(key string, s *slot, mine *sharedLoad) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine.waiting--
	select {
	case <-s.running.done:
		c.drop(key, s)
	default: // its leader drops the slot
	}
}

// drop forgets a slot that has no load running and no reader waiting.
func (c *coalescer) drop(key string, s *slot) {
	if (s.next == nil || s.next.waiting == 0) && c.m[key] == s {
		delete(c.m, key)
	}
}

var errPanicked = errors.New("a load or a lookup panicked")
