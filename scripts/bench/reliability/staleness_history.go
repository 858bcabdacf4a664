package main

import (
	"sync"
	"time"
)

// history is what is known of the versions of one entity, which are 1, 2, 3 and so on. It has one writer at a time.
type history struct {
	mu    sync.Mutex
	start time.Time // of the run; times count from it
	tried int       // the newest version that may exist
	// newer[by][v] is when a version after v was acknowledged to its writer; by is how it was written.
	newer [3][]time.Duration
}

// Ways to write: through a process, by its index, or by the web application.
const webApplication = 2

// try is called before a version is written, acknowledge after the write has succeeded. A version whose result is unknown
// is acknowledged with the next one whose result is known.
func (h *history) try(version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = max(h.tried, version)
}

// acknowledge takes the time itself, so that every read that starts later counts.
func (h *history) acknowledge(by, version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Since(h.start)
	for len(h.newer[by]) < version {
		h.newer[by] = append(h.newer[by], at)
	}
}

// verdict is how stale the answer of a read was.
type verdict struct {
	invented bool // no writer wrote that version
	foreign  bool // the answer is another database's
	// age is how long before the start of the read a newer version was acknowledged; 0: no version was. The bound holds
	// for it: the service guarantees it for the moment of the answer, which is later than the start.
	age time.Duration
	// own and others are the same for writes of the service: through the process that was read, and through another.
	own, others time.Duration
}

// judge returns the verdict on a version that process via returned to a read that started at began.
func (h *history) judge(via, version int, began time.Duration) (v verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v.invented = version < 1 || version > h.tried
	for by, newer := range h.newer {
		if version < 0 || version >= len(newer) || newer[version] > began {
			continue
		}
		// In the same nanosecond the acknowledgment came first.
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

// ages counts the ages of answers, by the millisecond.
type ages struct {
	n     int // answers
	stale int // answers that were not the newest at the start of the read
	over  int // answers older than bound
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

// quantile is the age that the share q of all answers does not exceed, rounded up to 1 ms.
func (a *ages) quantile(q float64) time.Duration {
	left := int(float64(a.n) * (1 - q)) // answers that may be older
	for i := len(a.ms) - 1; i >= 0; i-- {
		if left -= a.ms[i]; left < 0 {
			return time.Duration(i+1) * time.Millisecond
		}
	}
	return 0
}

// tally is the counts of one phase.
type tally struct {
	name     string
	from, to time.Duration

	mu                sync.Mutex
	users, characters ages
	own, others       ages // how far behind a write through the same process, and through the other one
	saves, updates    int
	invented, foreign int
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
	t.addWrong(v)
}

func (t *tally) addCharacter(v verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.characters.add(v.age)
	t.own.add(v.own)
	t.others.add(v.others)
	t.addWrong(v)
}

func (t *tally) addWrong(v verdict) {
	if v.invented {
		t.invented++
	}
	if v.foreign {
		t.foreign++
	}
}

// all returns the reads of users and characters together.
func (t *tally) all() *ages {
	a := &ages{}
	a.merge(&t.users)
	a.merge(&t.characters)
	return a
}
