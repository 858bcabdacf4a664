// Package connlimit limits the connections of a listener, so that idle ones use up neither the process's file descriptors nor its
// memory. It never refuses a new connection: at a limit it closes those whose clients were silent for longest. So a health check gets
// through, and a client that is in use loses nothing.
package connlimit

import (
	"cmp"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
)

const (
	// most is the number of connections above which idle ones cost too much memory: about 10 kB each.
	most = 16 << 10
	// few is the number of connections of Few.
	few = 64
	// reserve is the number of file descriptors that are kept for the rest of the program: the pools of PostgreSQL (16) and
	// Redis (64), the admin address (Few), and files.
	reserve = 256
	// atOnce is the share of the connections that is closed at once at a limit, one in 64, so that the search for them is rare.
	atOnce = 64
)

// Listener is a listener with limits.
type Listener struct {
	net.Listener
	max, perAddress int

	mu        sync.Mutex
	all       group
	byAddress map[string]group
	closed    Closed
}

// group is a set of connections.
type group map[*conn]struct{}

// Closed counts the connections that were closed at a limit.
type Closed struct {
	Full    uint64 // at the limit of all connections
	Address uint64 // at the limit of one address
}

// New limits the connections of l by the file descriptors that the process may open. One address may have half of them, so that no
// client closes all connections of others, and a load balancer or a busy game server has enough.
func New(l net.Listener) *Listener {
	n := maxFor(openFiles())
	return newListener(l, n, n/2)
}

// maxFor returns the number of connections for a number of file descriptors, 0: unlimited.
func maxFor(files uint64) int {
	if files == 0 || files > most+reserve {
		return most
	}
	return max(int(files)-reserve, int(files)/2, 2)
}

// Few limits the connections of l to a few, for an address that few programs use.
func Few(l net.Listener) *Listener { return newListener(l, few, few) }

func newListener(l net.Listener, limit, perAddress int) *Listener {
	return &Listener{Listener: l, max: limit, perAddress: perAddress, all: group{}, byAddress: map[string]group{}}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	runtime.Gosched() // requests on open connections come before the next connection
	c := &conn{Conn: accepted, listener: l, address: callers.HostOf(accepted.RemoteAddr())}
	c.heard.Store(time.Now().UnixNano())
	for _, longestIdle := range l.add(c) {
		_ = longestIdle.Close() // its client may have gone
	}
	return c, nil
}

// Open returns the number of open connections.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// Closed returns the numbers so far.
func (l *Listener) Closed() Closed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// add returns the connections that must be closed, because c is one too many.
func (l *Listener) add(c *conn) []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := l.byAddress[c.address]
	if same == nil {
		same = group{}
		l.byAddress[c.address] = same
	}
	var surplus []*conn
	switch {
	case len(same) >= l.perAddress:
		surplus = same.longestIdle()
		l.closed.Address += uint64(len(surplus))
	case len(l.all) >= l.max:
		surplus = l.all.longestIdle()
		l.closed.Full += uint64(len(surplus))
	}
	for _, s := range surplus { // now: they count no longer, whenever their Close returns
		l.remove(s)
	}
	l.all[c] = struct{}{}
	l.byAddress[c.address][c] = struct{}{}
	return surplus
}

// remove is called with mu locked.
func (l *Listener) remove(c *conn) {
	same := l.byAddress[c.address]
	delete(l.all, c)
	delete(same, c)
	if len(same) == 0 {
		delete(l.byAddress, c.address)
	}
}

// longestIdle returns at least one connection of a group that is not empty.
func (g group) longestIdle() []*conn {
	type seen struct {
		conn  *conn
		heard int64 // read once: it may change during the sort
	}
	conns := make([]seen, 0, len(g))
	for c := range g {
		conns = append(conns, seen{c, c.heard.Load()})
	}
	slices.SortFunc(conns, func(a, b seen) int { return cmp.Compare(a.heard, b.heard) })
	longest := make([]*conn, max(1, len(conns)/atOnce))
	for i := range longest {
		longest[i] = conns[i].conn
	}
	return longest
}

// conn knows when its client sent something last.
type conn struct {
	net.Conn
	listener *Listener
	address  string       // for IPv6 its network
	heard    atomic.Int64 // Unix time in nanoseconds
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c) // the second time it changes nothing
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends the answer while the client may still send. net/http calls it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
