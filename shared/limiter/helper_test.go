package limiter_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/limiter"
)

// patience bounds what a test waits for. No test expects it to pass.
const patience = time.Minute

func want(principal string, k limiter.Kind) limiter.Want {
	end := time.Now().Add(patience)
	return limiter.Want{Principal: principal, Kind: k, Weight: 1, Until: end, Latest: end}
}

// take takes n slots that must be free.
func take(t *testing.T, l *limiter.Limiter, n int, w limiter.Want) (all []limiter.Slot) {
	t.Helper()
	for range n {
		s, ok := l.Enter(t.Context(), time.Now(), w)
		if !ok {
			t.Fatalf("no slot for %+v: %+v", w, l.Stats())
		}
		all = append(all, s)
	}
	return all
}

// busy reports whether there is no slot now.
func busy(t *testing.T, l *limiter.Limiter, w limiter.Want) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, ok := l.Enter(ctx, time.Now(), w)
	if ok {
		l.Leave(s)
	}
	return !ok
}

// waiters are callers that wait for a slot.
type waiters struct {
	l    *limiter.Limiter
	got  chan got
	done sync.WaitGroup
}

type got struct {
	name string
	slot limiter.Slot
	ok   bool
}

// wait lets a caller wait, and returns when it does.
func (w *waiters) wait(ctx context.Context, t *testing.T, name string, want limiter.Want) {
	t.Helper()
	before := w.l.Stats().Waiting
	w.done.Go(func() {
		s, ok := w.l.Enter(ctx, time.Now(), want)
		w.got <- got{name, s, ok}
	})
	for end := time.Now().Add(patience); w.l.Stats().Waiting == before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s does not wait", name)
		}
	}
}

// order frees one slot after the other, and returns who got them.
func (w *waiters) order(t *testing.T, free limiter.Slot, n int) (names []string) {
	t.Helper()
	for range n {
		w.l.Leave(free)
		g := <-w.got
		if !g.ok {
			t.Fatalf("%s was refused", g.name)
		}
		names = append(names, g.name)
		free = g.slot
	}
	w.done.Wait()
	return names
}

func newWaiters(l *limiter.Limiter) *waiters { return &waiters{l: l, got: make(chan got, 100)} }
