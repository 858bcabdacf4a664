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
	bad   bool   // there is one, with a wrong checksum
	ms    int64  // the Redis clock at the lookup
	t     int64  // the Redis clock when the watermark's sync began; 0: no watermark
	d     int64  // the database's clock at t, or a little less
}

// within reports whether the watermark is at most age old. A watermark from the future proves nothing: a failover may
// have led to a node whose clock is behind.
func (r *reading) within(age time.Duration) bool {
	return r.t != 0 && r.ms >= r.t && r.ms-r.t <= age.Milliseconds()
}

// databaseNow is the database's clock at the lookup, or a little before (see [Entry]).
func (r *reading) databaseNow() time.Time { return time.UnixMilli(r.d + r.ms - r.t) }

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
func (k *Kind) read(ctx context.Context, key string) (reading, error) {
	c := k.cache
	if c.cluster {
		l, err := k.script(ctx, key, "")
		return l.reading, err
	}
	l := k.lookups.Get().(*lookup)
	call := context.Background()
	if c.traced {
		call = context.WithoutCancel(ctx)
	}
	reply, err := l.run(call, key)
	if c.report(err) != nil {
		return reading{}, err
	}
	r, err := decodeRead(resp{rest: reply}, key)
	k.lookups.Put(l)
	if err != nil { // an error reply, or garbage
		c.stats.redisErrors.Add(1)
	}
	return r, err
}

// decodeRead reads the replies to HMGET wm t e d, HGET key fp and TIME. It ignores a watermark that no sync has written.
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
	if !r.setWatermark(string(t), string(d)) {
		return r, nil
	}
	if after, ok := bytes.CutPrefix(value, epoch); ok {
		after, ok = verified(key, after)
		r.bad = !ok
		if ok {
			r.value = append(make([]byte, 0, len(after)), after...) // the buffer is reused
		}
	}
	return r, nil
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
func (k *Kind) script(ctx context.Context, key, token string) (lease, error) {
	c := k.cache
	reply, err := leaseScript.Run(ctx, c.client, []string{key, c.watermark(key)},
		k.format(), leaseField(k.format()), token, c.budgets.Lease.Milliseconds(), MaxStaleness.Milliseconds()).Slice()
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
	if !l.setWatermark(text(reply[4]), text(reply[5])) {
		return l, nil
	}
	l.granted = state == leaseGranted
	if state == leaseValue {
		v, ok := verified(key, []byte(value))
		if l.bad = !ok; ok {
			l.value = v
		}
	}
	return l, nil
}

func text(v any) string { s, _ := v.(string); return s }

// fill writes the value if its lease is still there. A failure costs a later reader one load.
func (k *Kind) fill(ctx context.Context, key, token, epoch string, e Entry) {
	c := k.cache
	ttl := c.ttl
	if e.TTL > 0 {
		ttl = min(ttl, e.TTL)
	}
	var b bytes.Buffer
	b.Grow(epochLen + checksumLen + len(e.Bytes))
	b.WriteString(epoch)
	writeChecksummed(&b, key, e.Bytes)
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
