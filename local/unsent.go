package main

import (
	"container/list"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxUnsent is the number of bytes of large answers that wait for the clients of net/http. Package grpcserver has the same limit. A
// request has left the limits of package rpcserver when its answer is written, which can take as long as writeTimeout.
const maxUnsent = 32 << 20

// unsent counts the bytes of answers that are being written.
type unsent struct {
	max int
	cut atomic.Uint64 // answers

	mu      sync.Mutex
	bytes   int
	answers list.List // of writing, oldest first
}

type writing struct {
	to   http.ResponseWriter
	size int
}

// begin counts an answer until done is called. If there are too many bytes, the answers that wait longest are cut off.
func (u *unsent) begin(to http.ResponseWriter, size int) (done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += size
	e := u.answers.PushBack(writing{to, size})
	for u.bytes > u.max && u.answers.Len() > 1 {
		oldest := u.answers.Front()
		u.remove(oldest)
		u.cut.Add(1)
		// With mu locked, so that its handler has not ended.
		_ = http.NewResponseController(oldest.Value.(writing).to).SetWriteDeadline(time.Now()) // fails if the client has gone
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.remove(e)
	}
}

// remove is called with mu locked. The second time it changes nothing.
func (u *unsent) remove(e *list.Element) {
	before := u.answers.Len()
	a := u.answers.Remove(e).(writing)
	if u.answers.Len() < before {
		u.bytes -= a.size
	}
}
