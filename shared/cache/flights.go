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
	done  chan struct{}
	entry Entry
	err   error
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
		return f.lead(key, s, s.running, load)
	}
	if s.next == nil {
		s.next = &flight{done: make(chan struct{})}
	}
	before, mine := s.running, s.next
	f.mu.Unlock()

	select {
	case <-before.done:
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
	f.mu.Lock()
	if s.next == mine { // the first to wake leads
		s.running, s.next = mine, nil
		f.mu.Unlock()
		return f.lead(key, s, mine, load)
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
	case <-ctx.Done():
		return Entry{}, ctx.Err()
	}
	if errors.Is(mine.err, context.Canceled) || errors.Is(mine.err, context.DeadlineExceeded) {
		return load() // the leader's caller gave up; this one has not
	}
	return mine.entry, mine.err
}

func (f *flights) lead(key string, s *slot, mine *flight, load func() (Entry, error)) (Entry, error) {
	mine.err = errPanicked
	defer func() {
		f.mu.Lock()
		if s.next == nil && f.m[key] == s {
			delete(f.m, key)
		}
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.entry, mine.err = load()
	return mine.entry, mine.err
}

var errPanicked = errors.New("the load panicked")
