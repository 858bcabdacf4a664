package cache

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

// SetNow gives the cache another clock. It must come before the first read.
func (c *Cache) SetNow(now func() time.Time) { c.now = now }

// Lookups returns how many calls with lookups are under way, and how many lookups wait.
func (c *Cache) Lookups() (calls, waiting int) {
	c.batches.mu.Lock()
	defer c.batches.mu.Unlock()
	return c.batches.calls, len(c.batches.waiting)
}

// Fail reports a failed call.
func (c *Cache) Fail(err error) { _ = c.report(err) }

// Vault seals and opens what is in Redis as the processes of one database do, without a Redis.
type Vault struct{ view *view }

// NewVault returns the Vault of a kind of entities.
func NewVault(database postgres.Changes, format string, ttl time.Duration) (*Vault, error) {
	id, err := newIdentity(database)
	if err != nil {
		return nil, err
	}
	c := New(nil, &postgres.DB{}, Options{TTL: ttl})
	return &Vault{c.Kind("", func() string { return format }, nil).in(id)}, nil
}

// Seal returns the value of a field as a fill writes it.
func (v *Vault) Seal(key, epoch string, at int64, value string) string {
	sealed, err := v.view.id.seal([]byte(epoch), at, place(nil, key, v.view.field, []byte(epoch)), []byte(value))
	if err != nil {
		panic(err)
	}
	return string(sealed)
}

// SealPointer returns the value of a pointer as SetPointer writes it.
func (v *Vault) SealPointer(key string, at int64, id string) string {
	sealed, err := v.view.id.seal(nil, at, place(nil, key, "", nil), []byte(id))
	if err != nil {
		panic(err)
	}
	return string(sealed)
}

// OpenPointer opens it as Pointer does.
func (v *Vault) OpenPointer(key, sealed string) (id string, ok bool) {
	value, _, ok := v.view.id.open([]byte(sealed), place(nil, key, "", nil))
	return string(value), ok
}

// Watermark is what a watermark has in Redis.
type Watermark struct{ T, S, E, D, M, N string }

// Stamp returns a watermark as a sync writes it.
func (v *Vault) Stamp(t int64, snapshot, epoch string, d int64) Watermark {
	w := Watermark{T: strconv.FormatInt(t, 10), S: snapshot, E: epoch, D: strconv.FormatInt(d, 10)}
	name := v.view.watermark
	w.M = string(v.view.id.mac(name, []byte(w.T), []byte(w.E), []byte(w.D)))
	w.N = string(v.view.id.mac(name, []byte(w.S), []byte(w.E)))
	return w
}

// Resumes reports whether a sync goes on from the snapshot of w.
func (v *Vault) Resumes(w Watermark) bool {
	return v.view.id.resumes(v.view.watermark, w.S, w.E, w.N)
}

// Hit returns what a lookup serves that finds the watermark and the value at the time now, by the clock of Redis.
func (v *Vault) Hit(w Watermark, key, value string, now int64) (served string, hit bool) {
	var reply bytes.Buffer
	fmt.Fprintf(&reply, "*4\r\n")
	for _, s := range []string{w.T, w.E, w.D, w.M, value} {
		fmt.Fprintf(&reply, "$%d\r\n%s\r\n", len(s), s)
	}
	fmt.Fprintf(&reply, "*2\r\n$%d\r\n%d\r\n$%d\r\n%d\r\n", len(strconv.FormatInt(now/1000, 10)), now/1000, len(strconv.FormatInt(now%1000*1000, 10)), now%1000*1000)
	return v.Reply(reply.Bytes(), key)
}

// Reply returns what a lookup serves that gets this reply.
func (v *Vault) Reply(reply []byte, key string) (served string, hit bool) {
	buffer := make([]byte, 0, 256)
	var r reading
	err := v.view.decode(reply, key, &buffer, &r)
	if err != nil || !r.within(MaxStaleness) || r.value == nil {
		return "", false
	}
	return string(r.value), true
}

// Field is the name of the field of an entity that has the value.
func (v *Vault) Field() string { return v.view.field }

// Follows reports whether a connection would take the bytes for replies of Redis, if they come in pieces.
func Follows(b []byte, piece int) bool {
	g := &guard{}
	for len(b) > 0 {
		n := min(piece, len(b))
		if !g.follow(b[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// Tier is the tier in the process, driven by a test: its clocks stand still, and no read starts a sync.
type Tier struct {
	m      *memory
	now    atomic.Pointer[instant]
	Starts atomic.Int64 // syncs that reads would have started
}

// DriveMemory must come before the first read.
func (c *Cache) DriveMemory() *Tier {
	t := &Tier{m: c.memory}
	start := instant{time.Hour, time.Hour}
	t.now.Store(&start)
	t.m.clock = func() instant { return *t.now.Load() }
	t.m.start = func(func()) {
		t.Starts.Add(1)
		t.m.syncing.Store(false)
	}
	return t
}

// Advance moves the two clocks.
func (t *Tier) Advance(boot, wall time.Duration) {
	now := *t.now.Load()
	t.now.Store(&instant{now.boot + boot, now.wall + wall})
}

// Sync syncs.
func (t *Tier) Sync() { t.m.sync() }

// Serves reports what the process would serve of the entity with the key.
func (t *Tier) Serves(key string) (string, bool) {
	e, ok := t.m.get(nameOf(key))
	return fmt.Sprint(e.Value), ok
}

// ForgetNamesAfter changes NamesKept.
func (t *Tier) ForgetNamesAfter(d time.Duration) { t.m.namesKept = d }

// Answers changes what the change log answers.
func (t *Tier) Answers(change func(*postgres.Changes) error) {
	ask := t.m.changes
	t.m.changes = func(ctx context.Context, since string) (postgres.Changes, error) {
		c, err := ask(ctx, since)
		if err == nil {
			err = change(&c)
		}
		return c, err
	}
}
