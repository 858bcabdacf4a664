package cache

import (
	"context"
	"errors"
	"sync"
)

// flights lets readers of one key share a load, at most one running and one waiting for each key of this process. A
// reader joins only a load that has not started: one that has may have read before a write that this reader must see.
// (x/sync's singleflight joins running ones.)
type flights struct {
	mu sync.Mutex
	m  map[string]*slot
}

type slot struct {
	running, next *flight
}

type flight struct {
	done    chan struct{}
	waiting int // readers, while it has not started
	entry   Entry
	err     error
	gaveUp  bool // the leader's caller did
}

func (f *flights) do(ctx context.Context, key string, load func() (Entry, error)) (Entry, error) {
	f.mu.Lock()
	s := f.m[key]
	if s == nil {
		if f.m == nil {
			f.m = map[string]*slot{}
		}
		s = &slot{running: &flight{done: make(chan struct{})}}
		f.m[key] = s
		f.mu.Unlock()
		return f.lead(ctx, key, s, s.running, load)
	}
	if s.next == nil {
		s.next = &flight{done: make(chan struct{})}
	}
	before, mine := s.running, s.next
	mine.waiting++
	f.mu.Unlock()

	select {
	case <-before.done:
	case <-ctx.Done():
		f.leave(key, s, mine)
		return Entry{}, ctx.Err()
	}
	f.mu.Lock()
	if s.next == mine { // the first to wake leads
		s.running, s.next = mine, nil
		f.mu.Unlock()
		return f.lead(ctx, key, s, mine, load)
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
	if mine.gaveUp {
		return f.do(ctx, key, load) // this reader's caller has not
	}
	return mine.entry, mine.err
}

// lead loads for all who wait for mine.
func (f *flights) lead(ctx context.Context, key string, s *slot, mine *flight, load func() (Entry, error)) (Entry, error) {
	mine.err = errPanicked
	defer func() {
		f.mu.Lock()
		mine.gaveUp = mine.err != nil && ctx.Err() != nil
		f.drop(key, s)
		close(mine.done)
		f.mu.Unlock()
	}()
	mine.entry, mine.err = load()
	return mine.entry, mine.err
}

// leave is for a reader who waits no longer.
func (f *flights) leave(key string, s *slot, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine.waiting--
	select {
	case <-s.running.done:
		f.drop(key, s)
	default: // its leader will
	}
}

// drop forgets a slot that has nothing running and nobody waiting.
func (f *flights) drop(key string, s *slot) {
	if (s.next == nil || s.next.waiting == 0) && f.m[key] == s {
		delete(f.m, key)
	}
}

var errPanicked = errors.New("the load panicked")
