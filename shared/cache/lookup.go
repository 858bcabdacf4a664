package cache

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// view is a Kind in one database.
type view struct {
	*Kind
	id           *identity
	field, lease string // of the hash: the value, and its lease
	watermark    string // of a single Redis
	lookups      sync.Pool
}

// in returns the Kind in the database of id.
func (k *Kind) in(id *identity) *view {
	if v := k.current.Load(); v != nil && v.id == id {
		return v
	}
	field := k.format() + id.tag
	v := &view{Kind: k, id: id, field: field, lease: "l" + field, watermark: k.cache.watermark(id, 0)}
	v.lookups.New = func() any { return v.newLookup() }
	k.current.Store(v)
	return v
}

// lookup is the three commands of a hit with the buffer for their replies. It is reused: new commands, and what go-redis
// parses replies into, would be a third of a hit's allocations.
type lookup struct {
	pipe  redis.Pipeliner
	key   *any
	cmds  []redis.Cmder
	reply bytes.Buffer
	place []byte
	done  chan error // the end of its wait for a call
}

func (v *view) newLookup() *lookup {
	ctx := context.Background() // of the commands; the call has its own
	l := &lookup{pipe: v.cache.client.Pipeline(), place: make([]byte, 0, 256), done: make(chan error, 1)}
	hget := []any{"hget", "", v.field}
	l.key = &hget[1]
	l.cmds = []redis.Cmder{
		redis.NewRawWriteToCmd(ctx, &l.reply, "hmget", v.watermark, "t", "e", "d", "m"),
		redis.NewRawWriteToCmd(ctx, &l.reply, hget...),
		redis.NewRawWriteToCmd(ctx, &l.reply, "time"),
	}
	return l
}

// set makes l a lookup of the key. The reply is valid until the next set.
func (l *lookup) set(key string) {
	l.reply.Reset()
	*l.key = key
	for _, c := range l.cmds {
		c.SetErr(nil)
	}
}

// exec looks up l and others in one call. It ends by its own timeouts, which are far shorter than a request's, so the request's
// context would only cost time.
func (l *lookup) exec(ctx context.Context, others []*lookup) error {
	_ = l.pipe.BatchProcess(ctx, l.cmds...) // only queues
	for _, o := range others {
		_ = l.pipe.BatchProcess(ctx, o.cmds...)
	}
	_, err := l.pipe.Exec(ctx)
	return err
}

// errAfter returns the error of the lookup after a call that ended with err: the lookup may have its reply all the same.
func (l *lookup) errAfter(err error) error {
	if last := l.cmds[len(l.cmds)-1]; err == nil || last.Err() == nil && l.reply.Len() > 0 {
		return nil
	}
	return err
}

// resp reads replies in RESP2 one after another. After an unexpected one it is bad and reads nothing more.
type resp struct {
	rest []byte
	bad  bool
}

// length reads the head of an array or a string. -1 is nil.
func (r *resp) length(mark byte) int {
	line, rest, found := bytes.Cut(r.rest, []byte("\r\n"))
	if r.bad || !found || len(line) < 2 || line[0] != mark {
		r.bad = true
		return -1
	}
	n, err := strconv.Atoi(string(line[1:]))
	r.bad = err != nil
	r.rest = rest
	return n
}

// text reads a string. It returns nil if there is none.
func (r *resp) text() []byte {
	n := r.length('$')
	if r.bad || n < 0 {
		return nil
	}
	if len(r.rest) < n+2 {
		r.bad = true
		return nil
	}
	t := r.rest[:n:n]
	r.rest = r.rest[n+2:]
	return t
}

// number reads a string of digits.
func (r *resp) number() int64 {
	n, err := strconv.ParseInt(string(r.text()), 10, 64)
	r.bad = r.bad || err != nil
	return n
}

// wrongType reads an error reply that says a key has another type, if there is one.
func (r *resp) wrongType() bool {
	if !bytes.HasPrefix(r.rest, []byte("-WRONGTYPE ")) {
		return false
	}
	_, r.rest, _ = bytes.Cut(r.rest, []byte("\r\n"))
	return true
}

func (r *resp) array(n int) { r.bad = r.length('*') != n || r.bad }
