package limiter

import (
	"context"
	"slices"
	"time"
)

// maxIdle is how many principals are remembered that neither hold nor want a slot.
const maxIdle = 1024

// account is what one principal holds and waits for.
type account struct {
	name        string
	used, heavy int // slots that it holds
	held        int // the same in number, whatever their weight, and whether they are paused
	turn        uint64
	waiting     int
	queues      [kinds]queue
}

// holds returns the number of slots of that kind's pool.
func (a *account) holds(k Kind) int {
	if k == Heavy {
		return a.heavy
	}
	return a.used
}

// queue has the waiting work of one kind, oldest first.
type queue struct {
	entries []*entry
}

// entry is one caller that waits.
type entry struct {
	Want
	account *account
	slot    Slot
	ready   chan struct{} // closed when it got a slot
	out     bool          // of the queue
}

func (l *Limiter) account(name string) *account {
	a := l.accounts[name]
	if a == nil {
		a = &account{name: name}
		l.accounts[name] = a
	}
	return a
}

func (l *Limiter) forget(a *account) {
	if a.held == 0 && a.waiting == 0 && len(l.accounts) > maxIdle {
		delete(l.accounts, a.name)
	}
}

// crowded reports whether too many wait. Urgent work is counted apart: other work must not take its room.
func (l *Limiter) crowded(a *account, k Kind) bool {
	all, same := l.urgent, len(a.queues[Urgent].entries)
	if k != Urgent {
		all, same = l.waiting-all, a.waiting-same
	}
	return all >= l.options.MaxWaiting || same >= max(l.options.MaxWaiting/2, 1)
}

// queue lets a caller wait, unless too many wait.
func (l *Limiter) queue(a *account, w Want) *entry {
	if l.crowded(a, w.Kind) {
		l.refused++
		l.forget(a)
		return nil
	}
	e := &entry{Want: w, account: a, ready: make(chan struct{})}
	if a.waiting == 0 {
		l.queued = append(l.queued, a)
	}
	q := &a.queues[w.Kind]
	q.entries = append(q.entries, e)
	a.waiting++
	l.countWaiting(w.Kind, 1)
	l.grant(time.Now()) // the slots that are free may not fit those who wait already
	return e
}

func (l *Limiter) countWaiting(k Kind, by int) {
	l.waiting += by
	if k == Urgent {
		l.urgent += by
	}
}

// grant gives free slots to those who wait.
func (l *Limiter) grant(now time.Time) {
	for {
		e := l.next()
		if e == nil {
			return
		}
		l.remove(e)
		if now.After(e.Latest) {
			l.refused++ // its caller hears it at Until
			continue
		}
		e.slot = l.take(e.account, e.Kind, e.Weight)
		close(e.ready)
	}
}

// next returns who gets the next slot, nil if none can. It is the principal with the fewest slots, and of several the one whose
// turn is longest ago.
func (l *Limiter) next() *entry {
	var best *entry
	for _, a := range l.queued {
		for k := range a.queues {
			q := &a.queues[k]
			if len(q.entries) == 0 || !l.fits(a, Kind(k), q.entries[0].Weight) {
				continue
			}
			if e := q.entries[0]; best == nil || e.before(best) {
				best = e
			}
			break
		}
	}
	return best
}

func (e *entry) before(other *entry) bool {
	mine, theirs := e.account.holds(e.Kind), other.account.holds(other.Kind)
	return mine < theirs || mine == theirs && e.account.turn < other.account.turn
}

func (l *Limiter) remove(e *entry) {
	a, q := e.account, &e.account.queues[e.Kind]
	i := slices.Index(q.entries, e)
	if i == 0 {
		q.entries[0] = nil
		q.entries = q.entries[1:]
	} else {
		q.entries = slices.Delete(q.entries, i, i+1)
	}
	if len(q.entries) == 0 {
		*q = queue{}
	}
	e.out = true
	l.countWaiting(e.Kind, -1)
	if a.waiting--; a.waiting == 0 {
		l.queued = slices.DeleteFunc(l.queued, func(other *account) bool { return other == a })
	}
}

// wait waits until e gets a slot or gives up.
func (l *Limiter) wait(ctx context.Context, e *entry) (Slot, bool) {
	timer := time.NewTimer(time.Until(e.Until))
	defer timer.Stop()
	for {
		select {
		case <-e.ready:
			return e.slot, e.slot.Held()
		case <-timer.C:
			if more := e.extend(time.Now()); more > 0 {
				timer.Reset(more)
				continue
			}
			return l.giveUp(e, 1)
		case <-ctx.Done():
			return l.giveUp(e, 0)
		}
	}
}

// extend returns how long e waits further, because this process did not run for that long.
func (e *entry) extend(now time.Time) time.Duration {
	late := now.Sub(e.Until)
	e.Until = now // it is extended again only if the next timer is late, too
	if late < lateness {
		return 0
	}
	more := min(late, e.Latest.Sub(now))
	e.Until = now.Add(more)
	return more
}

// giveUp takes e out of the queue, unless it got its slot in the meantime.
func (l *Limiter) giveUp(e *entry, refused uint64) (Slot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.out {
		return e.slot, e.slot.Held()
	}
	l.refused += refused
	l.remove(e)
	l.forget(e.account)
	return Slot{}, false
}
