package main

import (
	"sync"
	"time"
)

// history is what is known of one entity's versions, which are 1, 2, 3 and so on. It has one writer at a time.
type history struct {
	mu    sync.Mutex
	start time.Time // of the run, whose clock times are by
	tried int       // the newest version that may exist
	// newer[by][v] is when a version after v was acknowledged to a writer, by the way that it was written.
	newer [3][]time.Duration
}

// Ways to write: through a process, named by its index, or past the service.
const webApplication = 2

// try is called before a version is written, acknowledge after that has succeeded. A version whose outcome is unknown
// is acknowledged with the next one that is known.
func (h *history) try(version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = max(h.tried, version)
}

// acknowledge takes the time itself, so that a read that begins later finds it.
func (h *history) acknowledge(by, version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Since(h.start)
	for len(h.newer[by]) < version {
		h.newer[by] = append(h.newer[by], at)
	}
}

// verdict is what a read's answer was worth.
type verdict struct {
	invented bool // nobody wrote that version
	// age is for how long a newer version had been acknowledged when the read began; 0: none had. The bound P holds for
	// it: what the service proves about the moment of its answer it proves all the more about the read's beginning.
	age time.Duration
	// own and others are the same for own writes of the service: through the process that was asked, and through another.
	own, others time.Duration
}

// judge takes an answer of process via to a read that began then.
func (h *history) judge(via, version int, began time.Duration) (v verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.invented = version < 1 || version > h.tried
	for by, newer := range h.newer {
		if version < 0 || version >= len(newer) || newer[version] > began {
			continue
		}
		// At the same nanosecond it was acknowledged before.
		age := max(began-newer[version], 1)
		v.age = max(v.age, age)
		switch by {
		case webApplication:
		case via:
			v.own = age
		default:
			v.others = max(v.others, age)
		}
	}
	return v
}

// ages counts how old answers were, by the millisecond.
type ages struct {
	n     int // answers
	stale int // that were not the newest when they were asked for
	over  int // P
	ms    []int
	worst time.Duration
}

func (a *ages) add(age time.Duration) {
	a.n++
	if age == 0 {
		return
	}
	a.stale++
	if age > bound {
		a.over++
	}
	a.worst = max(a.worst, age)
	i := int(age / time.Millisecond)
	for len(a.ms) <= i {
		a.ms = append(a.ms, 0)
	}
	a.ms[i]++
}

func (a *ages) merge(b *ages) {
	a.n, a.stale, a.over, a.worst = a.n+b.n, a.stale+b.stale, a.over+b.over, max(a.worst, b.worst)
	for len(a.ms) < len(b.ms) {
		a.ms = append(a.ms, 0)
	}
	for i, n := range b.ms {
		a.ms[i] += n
	}
}

// quantile is the age that a part q of all answers does not exceed, rounded up to a millisecond.
func (a *ages) quantile(q float64) time.Duration {
	left := int(float64(a.n) * (1 - q)) // answers that may be older
	for i := len(a.ms) - 1; i >= 0; i-- {
		if left -= a.ms[i]; left < 0 {
			return time.Duration(i+1) * time.Millisecond
		}
	}
	return 0
}

// tally is what one phase of the run has counted.
type tally struct {
	name     string
	from, to time.Duration

	mu                sync.Mutex
	users, characters ages
	own, others       ages // how far behind an own write: through the same process, through the other one
	saves, updates    int
	invented          int
}

func (t *tally) reads() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.users.n + t.characters.n
}

func (t *tally) ownReads() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.characters.n
}

func (t *tally) addUser(v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users.add(v.age)
	t.addInvented(v)
}

func (t *tally) addCharacter(v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.characters.add(v.age)
	t.own.add(v.own)
	t.others.add(v.others)
	t.addInvented(v)
}

func (t *tally) addInvented(v verdict) {
	if v.invented {
		t.invented++
	}
}

// all are the reads of users and characters together.
func (t *tally) all() *ages {
	a := &ages{}
	a.merge(&t.users)
	a.merge(&t.characters)
	return a
}
