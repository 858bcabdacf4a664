package cache

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"
)

// reading is what one look into Redis showed.
type reading struct {
	value []byte // nil: none of this epoch
	bad   bool   // there is one, and it is not what was written
	ms    int64  // the Redis clock at the look
	t     int64  // the Redis clock when the watermark's drain began; 0: no watermark
	d     int64  // the database's clock at t, or a little less
}

// within reports whether the watermark is at most age old. One from the future (a failover to a node whose clock is
// behind) proves nothing.
func (r *reading) within(age time.Duration) bool {
	return r.t != 0 && r.ms >= r.t && r.ms-r.t <= age.Milliseconds()
}

func (r *reading) databaseNow() time.Time { return time.UnixMilli(r.d + r.ms - r.t) }

// mark takes the watermark's clocks, unless they are none.
func (r *reading) mark(t, d string) bool {
	mark, err1 := strconv.ParseInt(t, 10, 64)
	database, err2 := strconv.ParseInt(d, 10, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	r.t, r.d = mark, database
	return true
}

var errReply = errors.New("unexpected reply from redis")

// read is the hit: one round trip, the watermark before the value and both before the clock. Were the value read first,
// a drain between the two would vouch for a value that it has just deleted.
func (k *Kind) read(ctx context.Context, key string) (reading, error) {
	c := k.cache
	if c.cluster {
		l, err := k.script(ctx, key, "")
		return l.reading, err
	}
	l := k.looks.Get().(*look)
	of := context.Background()
	if c.traced {
		of = context.WithoutCancel(ctx)
	}
	reply, err := l.run(of, key)
	if c.report(err) != nil {
		return reading{}, err
	}
	r, err := decodeRead(resp{rest: reply}, key)
	k.looks.Put(l)
	if err != nil { // an error reply, or garbage
		c.stats.redisErrors.Add(1)
	}
	return r, err
}

// decodeRead reads the replies to HMGET wm t e d, HGET key fp and TIME. A watermark that nobody can have written is none.
func decodeRead(in resp, key string) (reading, error) {
	in.array(3)
	t, epoch, d := in.text(), in.text(), in.text()
	value := in.text()
	in.array(2)
	r := reading{ms: in.number()*1000 + in.number()/1000}
	if in.bad {
		return reading{}, errReply
	}
	if t == nil || d == nil || len(epoch) != epochLen {
		return r, nil
	}
	if !r.mark(string(t), string(d)) {
		return r, nil
	}
	if after, ok := bytes.CutPrefix(value, epoch); ok {
		after, ok = unseal(key, after)
		r.bad = !ok
		if ok {
			r.value = append(make([]byte, 0, len(after)), after...) // the buffer is used again
		}
	}
	return r, nil
}

// lease is what a miss got.
type lease struct {
	reading
	granted bool
	epoch   string
}

// refused reports whether another one has the lease, or the watermark is too old to fill under.
func (l *lease) refused() bool { return !l.granted && l.value == nil && !l.bad }

// lease asks for the right to fill.
func (k *Kind) lease(ctx context.Context, key, token string) (lease, error) {
	return k.script(ctx, key, token)
}

// script looks into Redis atomically; with a token it also takes the lease where there is no value.
func (k *Kind) script(ctx context.Context, key, token string) (lease, error) {
	c := k.cache
	reply, err := leaseScript.Run(ctx, c.client, []string{key, c.watermark(key)},
		k.format(), leaseField(k.format()), token, LeaseTime.Milliseconds(), MaxStaleness.Milliseconds()).Slice()
	if c.report(err) != nil {
		return lease{}, err
	}
	if len(reply) != 6 {
		return lease{}, errReply
	}
	state, ok1 := reply[0].(int64)
	value, ok2 := reply[1].(string)
	epoch, ok3 := reply[2].(string)
	ms, ok4 := reply[3].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return lease{}, errReply
	}
	l := lease{reading: reading{ms: ms}, epoch: epoch}
	if !l.mark(text(reply[4]), text(reply[5])) {
		return l, nil
	}
	l.granted = state == leaseGranted
	if state == leaseValue {
		sealed, ok := unseal(key, []byte(value))
		if l.bad = !ok; ok {
			l.value = sealed
		}
	}
	return l, nil
}

func text(v any) string { s, _ := v.(string); return s }

// fill writes the value if its lease still stands. A failure costs a later reader one load.
func (k *Kind) fill(ctx context.Context, key, token, epoch string, e Entry) {
	c := k.cache
	ttl := c.ttl
	if e.TTL > 0 {
		ttl = min(ttl, e.TTL)
	}
	var b bytes.Buffer
	b.Grow(epochLen + sealLen + len(e.Bytes))
	b.WriteString(epoch)
	seal(&b, key, e.Bytes)
	n, err := fillScript.Run(ctx, c.client, []string{key, c.watermark(key)},
		k.format(), leaseField(k.format()), token, epoch, b.Bytes(), jitter(ttl).Milliseconds()).Int()
	switch {
	case c.report(err) != nil:
	case n == 1:
		c.stats.fills.Add(1)
	default:
		c.stats.refusedFills.Add(1)
	}
}

func leaseField(format string) string { return "l" + format }
