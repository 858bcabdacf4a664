package grpcserver

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
)

// outbox counts the encoded answers that their clients have not taken yet. grpc-go keeps an answer for as long as the client leaves
// its HTTP/2 window closed, and the request that it belongs to is over for the limits of package rpcserver.
//
// Small answers are not counted: MaxStreams of them are at most 100 kB a connection.
type outbox struct {
	limits
	now     func() time.Time
	bytes   atomic.Int64                  // of all answers; changed with mu locked
	count   func(principal string, n int) // counts them by principal, too
	stalled atomic.Uint64

	mu      sync.Mutex
	answers list.List // of *unsent, oldest first
}

// unsent is an answer that was not taken yet. It is the pool of the buffer that grpc-go frees once it has written the answer.
type unsent struct {
	outbox  *outbox
	conn    *connection
	of      string // the principal
	size    int64
	since   time.Time
	element *list.Element // nil: it is counted no longer
}

// add counts an answer of one connection. If there are too many bytes, it closes the connections that have let theirs wait longest:
// those of other connections are sent within milliseconds.
func (o *outbox) add(answer []byte, to *connection, principal string) mem.Buffer {
	u := &unsent{outbox: o, conn: to, of: principal, size: int64(len(answer)), since: o.now()}
	o.mu.Lock()
	if !to.gone {
		u.element = o.answers.PushBack(u)
		if to.answers == nil {
			to.answers = map[*unsent]struct{}{}
		}
		to.answers[u] = struct{}{}
		to.bytes += u.size
		o.bytes.Add(u.size)
		o.count(u.of, int(u.size))
	}
	o.mu.Unlock()
	o.closeWhile(func(*unsent) bool { return o.bytes.Load() > o.maxUnsent })
	return mem.NewBuffer(&answer, u)
}

// closeLate closes the connections that did not take an answer in time.
func (o *outbox) closeLate() {
	end := o.now().Add(-o.takeWithin)
	o.closeWhile(func(oldest *unsent) bool { return oldest.since.Before(end) })
}

// closeWhile closes the connection of the oldest answer, again and again.
func (o *outbox) closeWhile(is func(oldest *unsent) bool) {
	for {
		o.mu.Lock()
		front := o.answers.Front()
		if front == nil || !is(front.Value.(*unsent)) {
			o.mu.Unlock()
			return
		}
		c := front.Value.(*unsent).conn
		o.mu.Unlock()
		o.giveUp(c, true)
	}
}

// giveUp closes a connection. isStalled means that its client did not take what it was sent.
func (o *outbox) giveUp(c *connection, isStalled bool) {
	o.mu.Lock()
	if isStalled && !c.gone {
		o.stalled.Add(1)
	}
	o.forget(c)
	o.mu.Unlock()
	if isStalled {
		go c.Conn.Close() // under TLS it may wait for the client
		return
	}
	_ = c.Conn.Close() // its client may have gone
}

// isFull reports whether a connection has so many bytes waiting that it gets no further answers.
func (o *outbox) isFull(c *connection) bool {
	if o.bytes.Load() <= o.maxUnsentEach {
		return false // the usual case
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return c.bytes > o.maxUnsentEach
}

// forget ends the count of a connection's answers. grpc-go does not free those of a connection that has ended. mu is locked.
func (o *outbox) forget(c *connection) {
	c.gone = true
	for u := range c.answers {
		o.remove(u)
	}
}

// remove is called with mu locked.
func (o *outbox) remove(u *unsent) {
	if u.element == nil {
		return
	}
	o.answers.Remove(u.element)
	u.element = nil
	delete(u.conn.answers, u)
	u.conn.bytes -= u.size
	o.bytes.Add(-u.size)
	o.count(u.of, -int(u.size))
}

// Put implements mem.BufferPool: the answer was written, or its request was reset.
func (u *unsent) Put(*[]byte) {
	u.outbox.mu.Lock()
	u.outbox.remove(u)
	u.outbox.mu.Unlock()
}

// Get implements mem.BufferPool. It is not called.
func (u *unsent) Get(length int) *[]byte { return mem.DefaultBufferPool().Get(length) }
