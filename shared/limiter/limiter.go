// Package limiter shares a limited number of slots between principals. A request or a statement holds a slot while it works.
//
//   - While slots are free, entering costs a lock and a map lookup, and no allocation.
//   - If none is free, callers wait. A slot that becomes free goes to the waiting principal that holds the fewest (max-min
//     fairness), and within a principal to urgent work first, then in the order of arrival. So a principal that asks for
//     everything takes nothing from one that asks for less.
//   - A share of the slots is reserved for urgent work. Heavy work has slots of its own, a quarter as many, and takes several.
//   - A caller that waits longer than it can is refused.
//   - The number of slots falls while goroutines wait long for a CPU (capacity.go). Then work waits here, before it starts,
//     and not in the middle, where it has time limits.
package limiter

import (
	"context"
	"sync"
	"time"
)

// Kind is the kind of work.
type Kind uint8

// The kinds.
const (
	Urgent Kind = iota
	Ordinary
	Heavy
	kinds
)

const (
	// heavyShare is how many times more slots there are for other work than for heavy work.
	heavyShare = 4
	// lateness is how late a timer may fire. If it fires later, this process did not run, and the wait did not count.
	lateness = 5 * time.Millisecond
)

// Options of a Limiter.
type Options struct {
	Slots int
	// Least is the number of slots that remain while goroutines wait long for a CPU. 0: the number does not change.
	Least int
	// Reserved is the share of the slots that only urgent work gets: one in Reserved. 0: none.
	Reserved int
	// MostEach is how many slots one principal may hold. 0: all.
	MostEach int
	// MaxWaiting is how many callers may wait for urgent work, and as many for other work. One principal may have half of them.
	MaxWaiting int
}

// Limiter shares slots. Its methods may be called concurrently.
type Limiter struct {
	options Options

	mu       sync.Mutex
	capacity capacity
	used     int // slots of urgent and ordinary work
	ordinary int // of these, those of ordinary work
	heavy    int // slots of heavy work
	inside   int // slots held, whatever their weight, and whether they are paused
	waiting  int
	urgent   int // of these, urgent work
	refused  uint64
	turn     uint64
	accounts map[string]*account
	queued   []*account // those with waiters
}

// New returns a Limiter.
func New(o Options) *Limiter {
	return &Limiter{options: o, capacity: newCapacity(o.Slots, o.Least), accounts: map[string]*account{}}
}

// Want says who wants a slot, what for, and how long it can wait.
type Want struct {
	Principal string
	Kind      Kind
	Weight    int // how many slots; 0: one
	// Until bounds the wait. If this process did not run for a part of it, the wait is longer by that part, up to Latest. After Latest there
	// is no slot any more. If Until is later, the caller waits for its refusal: one that is refused at once may come back at once.
	Until, Latest time.Time
}

// Slot is a slot that is held. The zero value is none.
type Slot struct {
	account *account
	kind    Kind
	weight  int
}

// Held reports whether s is a slot.
func (s Slot) Held() bool { return s.account != nil }

// Kind returns the kind of work that s is for.
func (s Slot) Kind() Kind { return s.kind }

// Weight returns how many slots s is.
func (s Slot) Weight() int { return s.weight }

// Stats is the state of a Limiter.
type Stats struct {
	Inside, Waiting, Capacity int
	Refused                   uint64 // since New
}

// Stats returns the state.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Inside: l.inside, Waiting: l.waiting, Capacity: l.capacity.slots, Refused: l.refused}
}

// Starved reports whether goroutines waited too long for a CPU within the last second. With few of them inside, that is not known.
func (l *Limiter) Starved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.capacity.starved) < time.Second
}

// Used returns the number of slots in use, heavy work excluded.
func (l *Limiter) Used() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}

// Enter returns a slot, and false if there is none in time or ctx ends. It asks ctx only if it has to wait. now is the current
// time, or a little earlier.
func (l *Limiter) Enter(ctx context.Context, now time.Time, w Want) (Slot, bool) {
	w.Weight = max(w.Weight, 1)
	l.mu.Lock()
	l.capacity.adapt(now, l.used)
	a := l.account(w.Principal)
	if len(l.queued) == 0 && l.fits(a, w.Kind, w.Weight) {
		s := l.take(a, w.Kind, w.Weight)
		l.mu.Unlock()
		return s, true
	}
	entry := l.queue(a, w)
	l.mu.Unlock()
	if entry == nil {
		return Slot{}, false
	}
	return l.wait(ctx, entry)
}

// Leave returns the slot.
func (l *Limiter) Leave(s Slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.give(s)
	if len(l.queued) > 0 {
		l.grant(time.Now())
	}
}

// Pause gives the slot to others while its work waits for something other than a CPU. Resume must follow.
func (l *Limiter) Pause(s Slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(s.account, s.kind, -s.weight)
	if len(l.queued) > 0 {
		l.grant(time.Now())
	}
}

// Resume takes a paused slot again. It does not wait, so for a moment there may be more work inside than there are slots.
func (l *Limiter) Resume(s Slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(s.account, s.kind, s.weight)
}

// Hold returns a slot of weight 0, for Grow.
func (l *Limiter) Hold(principal string, k Kind) Slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(l.account(principal), k, 0)
}

// Grow makes s hold that many slots more, and reports false if there are not as many. It does not wait: while it waited, it would
// hold what others wait for. If force is set, it always succeeds: the work is there already.
func (l *Limiter) Grow(s *Slot, by int, force bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !force && !l.fits(s.account, s.kind, by) {
		l.refused++
		return false
	}
	l.count(s.account, s.kind, by)
	s.weight += by
	return true
}

// fits reports whether work of that weight may start now. The weight counts at most as much as there is: the heaviest work
// runs alone.
func (l *Limiter) fits(a *account, k Kind, weight int) bool {
	most := l.options.MostEach
	if most > 0 && a.holds(k)+weight > most {
		return false
	}
	all := l.capacity.slots
	switch k {
	case Heavy:
		own := max(all/heavyShare, 1)
		return l.heavy+min(weight, own) <= own
	case Ordinary:
		own := all
		if l.options.Reserved > 0 {
			own -= all / l.options.Reserved
		}
		if l.ordinary+min(weight, own) > own {
			return false
		}
	}
	return l.used+min(weight, all) <= all
}

func (l *Limiter) take(a *account, k Kind, weight int) Slot {
	l.count(a, k, weight)
	l.inside++
	a.held++
	l.turn++
	a.turn = l.turn
	return Slot{a, k, weight}
}

func (l *Limiter) give(s Slot) {
	l.count(s.account, s.kind, -s.weight)
	l.inside--
	s.account.held--
	l.forget(s.account)
}

func (l *Limiter) count(a *account, k Kind, by int) {
	switch k {
	case Heavy:
		l.heavy += by
		a.heavy += by
		return
	case Ordinary:
		l.ordinary += by
	}
	l.used += by
	a.used += by
}
