package cache

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

// NamesKept is for how long, by the database's clock, a process remembers which keys its syncs have named.
const NamesKept = 2 * MaxStaleness

// Store keeps values in the process. Package memory has one. A store may lose a value at any time, and its methods may be
// called concurrently.
type Store interface {
	Get(name Name) (Kept, bool)
	Set(name Name, value Kept)
	Delete(name Name)
	Clear()
	Bytes() uint64 // about how much memory it takes
}

// Name names a value in a [Store]. The key of an entity is in two parts, because to join them would cost each read an allocation.
type Name struct{ Prefix, ID string }

// nameOf takes a key of the change log apart. [Kind.InProcess] checks that a prefix ends at the first colon.
func nameOf(key string) Name {
	i := strings.IndexByte(key, ':') + 1
	return Name{key[:i], key[i:]}
}

// Kept is a value in a [Store].
type Kept struct {
	value any
	size  int
	until time.Duration // on the clock of instant.boot
}

// Size is about how many bytes the value takes: a message takes about twice as many as its encoding.
func (k Kept) Size() int { return 2 * k.size }

// memory is the tier in front of Redis. Its process has a position of its own in the change log, and serves a value only
// while the sync that took the position began at most MaxStaleness ago.
type memory struct {
	store     Store
	changes   func(ctx context.Context, since string) (postgres.Changes, error)
	recognize func(postgres.Changes) (*identity, error)
	clock     func() instant
	ttl       time.Duration
	namesKept time.Duration
	start     func(sync func()) // starts a sync, beside the reader
	position  atomic.Pointer[position]
	began     atomic.Int64 // when the last sync did, on the clock of instant.boot
	syncing   atomic.Bool
	stats     memoryCounters

	mu sync.Mutex // held to fill, and to apply a sync
}

// memoryCounters count what the tier has done.
type memoryCounters struct{ syncs, eras, fills, refusedFills atomic.Uint64 }

// position is how far the process has applied the change log.
type position struct {
	era        *era
	snapshot   string
	sync       uint64 // the number of the sync in its era
	began, end instant
	now        int64 // the database's clock between began and end, in milliseconds
}

// era is the time in which every change was applied. A new one begins without values.
type era struct {
	id    *identity
	names map[Name]naming // what syncs have named lately
	// gaps is the time by the database's clock up to which names may be missing, and lost the last sync that may miss one.
	gaps int64
	lost uint64
}

// naming is the last sync that named an entity.
type naming struct {
	sync uint64
	now  int64 // the database's clock, later than the change
}

// ticket is the lease of the tier. It is taken before the source of a fill is read.
type ticket struct {
	era  *era
	sync uint64
}

func newMemory(c *Cache, store Store) *memory {
	return &memory{
		store: store, changes: c.db.Changes, recognize: c.recognize, clock: readClocks, ttl: c.ttl, namesKept: NamesKept,
		start: func(sync func()) { go sync() },
	}
}

// get returns a value that is at most MaxStaleness old. The position comes before the value, and the clock last: a value that
// was found under a position is at least as new as that.
func (m *memory) get(name Name) (Entry, bool) {
	p := m.position.Load()
	value, found := m.store.Get(name)
	now := m.clock()
	age := p.age(now)
	if age > SyncAge {
		m.wake(now)
	}
	if !found || age > MaxStaleness || now.boot > value.until {
		return Entry{}, false
	}
	return Entry{Value: value.value, Now: p.databaseNow(now)}, true
}

// ticket is taken before the source of a fill is read.
func (m *memory) ticket() ticket {
	p := m.position.Load()
	if p == nil {
		return ticket{}
	}
	return ticket{p.era, p.sync}
}

// fill keeps value, the decoded bytes of e, which was read after t was taken, unless the entity may have changed since it was read.
func (m *memory) fill(name Name, t ticket, e Entry, value any) {
	if t.era == nil || e.TTL > 0 { // of e.TTL, changes are not logged
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.position.Load()
	if p == nil || p.era != t.era || !t.era.allows(name, t.sync, e.source) {
		m.stats.refusedFills.Add(1)
		return
	}
	m.store.Set(name, Kept{value, len(e.Bytes), m.clock().boot + m.ttl - e.source.age})
	m.stats.fills.Add(1)
}

// allows reports whether what was read of an entity after that sync lacks no change that the era's syncs have named. What the
// database said is as new as that sync. What Redis said is only as new as its watermark.
func (e *era) allows(name Name, sync uint64, from source) bool {
	n := e.names[name]
	if sync < e.lost || n.sync > sync {
		return false
	}
	return from.id == nil || from.id.same(e.id) && from.asOf > max(e.gaps, n.now)
}

// wake starts a sync if the last one began SyncAge ago and has ended.
func (m *memory) wake(now instant) {
	last := m.began.Load()
	if now.boot-time.Duration(last) < SyncAge || !m.syncing.CompareAndSwap(false, true) {
		return
	}
	if !m.began.CompareAndSwap(last, int64(now.boot)) { // another sync has come and gone
		m.syncing.Store(false)
		return
	}
	m.start(func() {
		defer m.syncing.Store(false)
		m.sync()
	})
}

// sync applies what the change log has named since the position. After an error, or if it cannot know all names, it forgets
// every value.
func (m *memory) sync() {
	began, last := m.clock(), m.position.Load()
	since := ""
	if last != nil {
		since = last.snapshot
	}
	changes, err := m.changes(context.Background(), since) // its own time limits end it
	var id *identity
	if err == nil {
		id, err = m.recognize(changes)
	}
	next := &position{snapshot: changes.Snapshot, began: began, end: m.clock(), now: changes.NowMS}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.syncs.Add(1)
	switch {
	case err != nil || !changes.UsersLogged:
		if last != nil {
			m.position.Store(nil)
			m.store.Clear()
		}
	case last == nil || !last.knowsAll(id, changes):
		next.era = &era{id: id, names: map[Name]naming{}, gaps: changes.NowMS}
		m.stats.eras.Add(1)
		m.store.Clear()
		m.position.Store(next)
	default:
		next.era, next.sync = last.era, last.sync+1
		for _, key := range changes.Keys {
			name := nameOf(key)
			m.store.Delete(name)
			last.era.names[name] = naming{next.sync, changes.NowMS}
		}
		last.era.forgetNames(changes.NowMS - m.namesKept.Milliseconds())
		m.position.Store(next)
	}
}

// knowsAll reports whether changes has every name since p.
func (p *position) knowsAll(id *identity, changes postgres.Changes) bool {
	return p.era.id.same(id) && changes.NowMS >= p.now &&
		len(changes.Keys) <= postgres.MaxChangedKeys && !slices.Contains(changes.Keys, postgres.AllKeys)
}

// forgetNames forgets what was named until then, by the database's clock.
func (e *era) forgetNames(until int64) {
	e.gaps = max(e.gaps, until)
	for name, n := range e.names {
		if n.now <= until {
			e.lost = max(e.lost, n.sync)
			delete(e.names, name)
		}
	}
}

// age is the time since the sync began, by the clock that has advanced more. A clock that went back, or no position, is an
// endless age.
func (p *position) age(now instant) time.Duration {
	if p == nil {
		return endless
	}
	boot, wall := now.boot-p.began.boot, now.wall-p.began.wall
	if boot < 0 || wall < 0 {
		return endless
	}
	return max(boot, wall)
}

// databaseNow is the database's clock, or a little before (see [Entry]).
func (p *position) databaseNow(now instant) time.Time {
	return time.UnixMilli(p.now).Add(now.boot - p.end.boot - clockMargin)
}

// instant is a reading of two clocks. Each finds a jump of the other: boot counts while the machine sleeps, and wall also while
// a virtual machine is stopped.
type instant struct{ boot, wall time.Duration }

func readClocks() instant {
	return instant{boot: sinceBoot(), wall: time.Duration(time.Now().UnixNano())}
}
