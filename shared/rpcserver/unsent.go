package rpcserver

import (
	"sync"

	"github.com/twitchtv/twirp"
)

// maxUnsent is how many bytes of large answers a caller may leave waiting and still get lists with all documents. With twice as many in all,
// connections are closed. Without this limit a caller would connect again, and get as many lists as the CPU can make.
const maxUnsent = 16 << 20

var errUnsent = Error(twirp.ResourceExhausted, "OVERLOADED", "this caller has not taken its earlier answers; read them first")

// unsent counts the bytes of large answers that callers have not taken, by principal.
type unsent struct {
	mu    sync.Mutex
	bytes map[string]int
}

// add counts n bytes more. A negative n removes what was added.
func (u *unsent) add(principal string, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes == nil {
		u.bytes = map[string]int{}
	}
	if u.bytes[principal] += n; u.bytes[principal] == 0 {
		delete(u.bytes, principal)
	}
}

func (u *unsent) full(principal string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes[principal] > maxUnsent
}

// Unsent counts n bytes more of large answers that a caller has not taken. A negative n removes what was added. It is for other protocols
// than Twirp.
func (s *Server) Unsent(principal string, n int) { s.unsent.add(principal, n) }
