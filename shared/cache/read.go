package cache

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"
)

// reading is what one lookup in Redis has found.
type reading struct {
	value []byte // nil: none of this epoch
	bad   bool   // there is something else that this database has not sealed for this place, or too long ago
	ms    int64  // the Redis clock at the lookup
	t     int64  // the Redis clock when the watermark's sync began; 0: no watermark
	d     int64  // the database's clock at t, or a little less
	age   int64  // of the value since its fill, in milliseconds
}

// within reports whether the watermark is at most age old. A watermark from the future proves nothing: a failover may
// have led to a node whose clock is behind.
func (r *reading) within(age time.Duration) bool {
	return r.t != 0 && r.ms >= r.t && r.ms-r.t <= age.Milliseconds()
}

// databaseNow is the database's clock at the lookup, or a little before (see [Entry]).
func (r *reading) databaseNow() time.Time { return time.UnixMilli(r.d + r.ms - r.t) }

// serve makes e what the reading serves, in the database of id.
func (r *reading) serve(e *Entry, id *identity) {
	e.Bytes, e.Now, e.source = r.value, r.databaseNow(), source{id, r.d, time.Duration(r.age) * time.Millisecond}
}

// setWatermark takes the clocks of the watermark. It returns false if they are no numbers.
func (r *reading) setWatermark(t, d string) bool {
	redisMS, err1 := strconv.ParseInt(t, 10, 64)
	databaseMS, err2 := strconv.ParseInt(d, 10, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	r.t, r.d = redisMS, databaseMS
	return true
}

var errReply = errors.New("unexpected reply from redis")

// read is the lookup of a hit: one round trip, with the watermark before the value and both before the clock. If the value
// came first, a sync between the two would vouch for a value that it has just deleted.
func (v *view) read(ctx context.Context, key string, r *reading) error {
	c := v.cache
	if c.cluster {
		return v.readInCluster(ctx, key, r)
	}
	l := v.lookups.Get().(*lookup)
	l.set(key)
	if err := c.lookUp(ctx, l); err != nil {
		return err
	}
	err := v.decode(l.reply.Bytes(), key, &l.place, r)
	if err != nil { // an error reply, or garbage
		c.stats.redisErrors.Add(1)
		c.notices.reply(l.reply.Bytes(), c.cluster)
	}
	v.lookups.Put(l)
	return err
}

// readInCluster is read with a script. Inlined, it would make the frame of each hit larger.
//
//go:noinline
func (v *view) readInCluster(ctx context.Context, key string, r *reading) error {
	l, err := v.script(ctx, key, "")
	*r = l.reading
	return err
}

// batched reports whether lookups share calls. A script of a cluster has its own node, and a call that is traced belongs to one request.
func (c *Cache) batched() bool { return !c.cluster && !c.traced }

func (c *Cache) lookUp(ctx context.Context, l *lookup) error {
	if c.batched() {
		return c.batches.run(l)
	}
	return c.report(l.exec(context.WithoutCancel(ctx), nil))
}

// decode reads the replies to HMGET wm t e d m, HGET key field and TIME. It ignores a watermark that no sync of this
// database has written.
func (v *view) decode(reply []byte, key string, buffer *[]byte, r *reading) error {
	*r = reading{}
	in := resp{rest: reply}
	s := stamp{name: v.watermark}
	if !in.wrongType() {
		in.array(4)
		s.t, s.epoch, s.d, s.mac = in.text(), in.text(), in.text(), in.text()
	}
	foreign := in.wrongType()
	var value []byte
	if !foreign {
		value = in.text()
	}
	in.array(2)
	now := in.number()*1000 + in.number()/1000
	if in.bad {
		return errReply
	}
	r.ms, r.bad = now, foreign
	if len(s.epoch) != epochLen || !v.id.authentic(&s) || !r.setWatermark(string(s.t), string(s.d)) {
		return nil
	}
	if sealed, ok := bytes.CutPrefix(value, s.epoch); ok {
		*buffer = place((*buffer)[:0], key, v.field, s.epoch)
		v.open(r, sealed, *buffer)
	}
	return nil
}

// open puts the value into r. It refuses one that is older than the cache keeps values, so that an old value cannot be put
// back.
func (v *view) open(r *reading, sealed, place []byte) {
	value, at, ok := v.id.open(sealed, place)
	if r.bad = !ok || at > r.ms || r.ms-at > v.cache.ttl.Milliseconds(); !r.bad {
		r.value, r.age = value, r.ms-at
	}
}

// lease is the reply to a miss.
type lease struct {
	reading
	granted bool
	epoch   string
}

// refused reports whether another reader has the lease, or the watermark is too old to fill under.
func (l *lease) refused() bool { return !l.granted && l.value == nil && !l.bad }

// script is an atomic lookup. With a token it also takes the lease if there is no value.
func (v *view) script(ctx context.Context, key, token string) (lease, error) {
	c := v.cache
	name := c.watermark(v.id, c.bucket(key))
	reply, err := leaseScript.Run(ctx, c.client, []string{key, name},
		v.field, v.lease, token, c.budgets.Lease.Milliseconds(), MaxStaleness.Milliseconds()).Slice()
	if c.report(err) != nil {
		return lease{}, err
	}
	if len(reply) != 7 {
		return lease{}, errReply
	}
	state, ok1 := reply[0].(int64)
	sealed, ok2 := reply[1].(string)
	epoch, ok3 := reply[2].(string)
	ms, ok4 := reply[3].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return lease{}, errReply
	}
	t, d := text(reply[4]), text(reply[5])
	l := lease{reading: reading{ms: ms}, epoch: epoch}
	if !v.id.authentic(&stamp{name, []byte(t), []byte(epoch), []byte(d), []byte(text(reply[6]))}) || !l.setWatermark(t, d) {
		return l, nil
	}
	l.granted = state == leaseGranted
	if state == leaseValue {
		v.open(&l.reading, []byte(sealed), place(nil, key, v.field, []byte(epoch)))
	}
	return l, nil
}

func text(v any) string { s, _ := v.(string); return s }

// fill writes the value if its lease is still there. A failure costs a later reader one load.
func (v *view) fill(ctx context.Context, key, token string, l lease, e Entry) {
	c := v.cache
	ttl := c.ttl
	if e.TTL > 0 {
		ttl = min(ttl, e.TTL)
	}
	sealed, err := v.id.seal([]byte(l.epoch), l.ms, place(nil, key, v.field, []byte(l.epoch)), e.Bytes)
	if err != nil {
		return
	}
	n, err := fillScript.Run(ctx, c.client, []string{key, c.watermark(v.id, c.bucket(key))},
		v.field, v.lease, token, l.epoch, sealed, jitter(ttl).Milliseconds()).Int()
	switch {
	case c.report(err) != nil:
	case n == 1:
		c.stats.fills.Add(1)
	default:
		c.stats.refusedFills.Add(1)
	}
}
