package limiter_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/limiter"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 8, Reserved: 4, MaxWaiting: 10})
	take(t, l, 6, want("a", limiter.Ordinary))
	if !busy(t, l, want("b", limiter.Ordinary)) {
		t.Error("ordinary work got a reserved slot")
	}
	take(t, l, 2, want("a", limiter.Urgent))
	if !busy(t, l, want("a", limiter.Urgent)) {
		t.Error("there are more slots than 8")
	}
}

// TestUrgentTakesOrdinarySlots checks that urgent work may have all slots, and that ordinary work gets a slot as soon as one is free.
func TestUrgentTakesOrdinarySlots(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 8, Reserved: 4, MaxWaiting: 10})
	all := take(t, l, 8, want("a", limiter.Urgent))
	w := newWaiters(l)
	w.wait(t.Context(), t, "urgent", want("a", limiter.Urgent))
	w.wait(t.Context(), t, "another's", want("b", limiter.Ordinary))
	if got := w.order(t, all[0], 2); !slices.Equal(got, []string{"another's", "urgent"}) {
		t.Errorf("the slots went to %v, want the principal without one first", got)
	}
}

func TestFairness(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 4, MaxWaiting: 100})
	all := take(t, l, 4, want("a", limiter.Ordinary))
	w := newWaiters(l)
	for _, name := range []string{"a1", "a2", "a3"} {
		w.wait(t.Context(), t, name, want("a", limiter.Ordinary))
	}
	for _, name := range []string{"b1", "b2"} {
		w.wait(t.Context(), t, name, want("b", limiter.Ordinary))
	}
	l.Leave(all[0])
	first := <-w.got
	l.Leave(all[1])
	second := <-w.got
	if names := []string{first.name, second.name}; !slices.Equal(names, []string{"b1", "b2"}) {
		t.Errorf("the slots went to %v, want b's until it has as many", names)
	}
	if got := w.order(t, all[2], 3); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
		t.Errorf("the slots went to %v, want the order of arrival", got)
	}
}

// TestTurns checks that principals with equally many slots get one in turn.
func TestTurns(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 100})
	free := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	for _, name := range []string{"a", "a", "b", "b", "c"} {
		w.wait(t.Context(), t, name, want(name, limiter.Ordinary))
	}
	if got := w.order(t, free, 5); !slices.Equal(got, []string{"b", "c", "a", "b", "a"}) {
		t.Errorf("the slots went to %v, want turns", got)
	}
}

func TestUrgentFirst(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 100})
	free := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	w.wait(t.Context(), t, "ordinary", want("a", limiter.Ordinary))
	w.wait(t.Context(), t, "urgent", want("a", limiter.Urgent))
	if got := w.order(t, free, 2); !slices.Equal(got, []string{"urgent", "ordinary"}) {
		t.Errorf("the slots went to %v", got)
	}
}

// TestHeavy checks that heavy work has slots of its own, a quarter as many, so that it takes none from other work.
func TestHeavy(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 64, MaxWaiting: 10})
	heavy := want("a", limiter.Heavy)
	heavy.Weight = 8
	all := take(t, l, 2, heavy)
	if !busy(t, l, heavy) {
		t.Error("there are more than 16 slots for heavy work")
	}
	take(t, l, 64, want("a", limiter.Ordinary))
	l.Leave(all[0])
	l.Leave(all[1])
	heavy.Weight = 1000
	alone := take(t, l, 1, heavy)[0]
	if !busy(t, l, want("b", limiter.Heavy)) {
		t.Error("the heaviest work does not run alone")
	}
	l.Leave(alone)
	take(t, l, 16, want("b", limiter.Heavy))
}

func TestMostEach(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 8, MostEach: 4})
	a := take(t, l, 4, want("a", limiter.Ordinary))
	if !busy(t, l, want("a", limiter.Ordinary)) || l.Grow(&a[0], 1, false) {
		t.Error("a principal got more than its half")
	}
	take(t, l, 4, want("b", limiter.Ordinary))
}

func TestGrow(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 8})
	s := l.Hold("a", limiter.Ordinary)
	if !l.Grow(&s, 8, false) || l.Grow(&s, 1, false) || s.Weight() != 8 {
		t.Errorf("a slot that grows to 8 of 8 slots has the weight %d", s.Weight())
	}
	if !l.Grow(&s, 8, true) || !busy(t, l, want("b", limiter.Urgent)) {
		t.Error("what is there already does not count")
	}
	l.Leave(s)
	take(t, l, 8, want("b", limiter.Ordinary))
}

// TestPause checks that a paused slot is free for others, and taken again at once afterwards.
func TestPause(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 10})
	s := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	w.wait(t.Context(), t, "b", want("b", limiter.Ordinary))
	l.Pause(s)
	other := <-w.got
	l.Resume(s)
	l.Leave(other.slot)
	if !other.ok || !busy(t, l, want("c", limiter.Ordinary)) {
		t.Errorf("%+v, want the slot of a taken again", l.Stats())
	}
	l.Leave(s)
	take(t, l, 1, want("c", limiter.Ordinary))
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 10})
	s := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	ctx, cancel := context.WithCancel(t.Context())
	w.wait(ctx, t, "gone", want("a", limiter.Ordinary))
	cancel()
	if g := <-w.got; g.ok {
		t.Error("a caller that has gone got a slot")
	}
	late := want("a", limiter.Ordinary)
	late.Until = time.Now()
	if !busy(t, l, late) || l.Stats().Waiting != 0 || l.Stats().Inside != 1 {
		t.Errorf("%+v after two callers gave up", l.Stats())
	}
	l.Leave(s)
	take(t, l, 1, want("a", limiter.Ordinary))
}

// TestTooLate checks that a slot is not given to a caller that has no time to use it, as after this process was frozen.
func TestTooLate(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 10})
	s := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	late := want("a", limiter.Ordinary)
	late.Latest = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	w.wait(ctx, t, "late", late)
	w.wait(t.Context(), t, "in time", want("a", limiter.Ordinary))
	l.Leave(s)
	if g := <-w.got; g.name != "in time" || !g.ok {
		t.Errorf("%s: got a slot = %v", g.name, g.ok)
	}
	cancel()
	if g := <-w.got; g.ok || l.Stats().Refused != 1 {
		t.Errorf("%s: got a slot = %v; %+v", g.name, g.ok, l.Stats())
	}
}

func TestMaxWaiting(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 4})
	take(t, l, 1, want("a", limiter.Ordinary))
	w := newWaiters(l)
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		w.wait(ctx, t, "a", want("a", limiter.Ordinary))
	}
	if _, ok := l.Enter(t.Context(), time.Now(), want("a", limiter.Ordinary)); ok || l.Stats().Refused != 1 {
		t.Error("one principal may wait as often as it likes")
	}
	w.wait(ctx, t, "b", want("b", limiter.Ordinary))
	cancel()
	w.done.Wait()
}

// TestRoomForUrgentWork checks that other work, also of the same principal, does not take the room where urgent work waits.
func TestRoomForUrgentWork(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1, MaxWaiting: 4})
	free := take(t, l, 1, want("a", limiter.Ordinary))[0]
	w := newWaiters(l)
	for _, name := range []string{"a", "b"} {
		for range 2 {
			w.wait(t.Context(), t, "ordinary", want(name, limiter.Ordinary))
		}
	}
	if _, ok := l.Enter(t.Context(), time.Now(), want("a", limiter.Ordinary)); ok {
		t.Fatal("more than 4 wait")
	}
	refused := l.Stats().Refused
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if l.Enter(gone, time.Now(), want("a", limiter.Urgent)); l.Stats().Refused != refused {
		t.Fatal("urgent work may not wait")
	}
	w.wait(t.Context(), t, "urgent", want("a", limiter.Urgent))
	w.wait(t.Context(), t, "urgent", want("a", limiter.Urgent))
	if _, ok := l.Enter(t.Context(), time.Now(), want("a", limiter.Urgent)); ok {
		t.Error("more than half of the room for urgent work is one principal's")
	}
	if got := w.order(t, free, 6); got[1] != "urgent" && got[0] != "urgent" {
		t.Errorf("the slots went to %v, want urgent work first", got)
	}
}

// TestManyPrincipals checks that principals that have gone are forgotten.
func TestManyPrincipals(t *testing.T) {
	t.Parallel()
	l := limiter.New(limiter.Options{Slots: 1})
	for i := range 5000 {
		l.Leave(take(t, l, 1, want(time.Duration(i).String(), limiter.Ordinary))[0])
	}
	if n := l.Accounts(); n > 1025 {
		t.Errorf("%d principals are remembered", n)
	}
}

func TestNoAllocation(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of other tests too
	l := limiter.New(limiter.Options{Slots: 512, Reserved: 8, MaxWaiting: 10})
	w, now := want("a", limiter.Ordinary), time.Now()
	if n := testing.AllocsPerRun(100, func() {
		s, _ := l.Enter(t.Context(), now, w)
		l.Leave(s)
	}); n != 0 {
		t.Errorf("a free slot costs %v allocations", n)
	}
}
