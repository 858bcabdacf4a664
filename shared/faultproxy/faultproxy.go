// Package faultproxy is a TCP proxy that simulates network faults, also on open connections: it holds, delays, loses and
// cuts traffic. Tests and benchmarks put it between the program and a server.
package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes everything to its target, except for the faults that it simulates. Its methods may be called concurrently.
type Proxy struct {
	listener    net.Listener
	target      atomic.Pointer[string]
	mu          sync.Mutex
	connections map[*connection]struct{}
	refuse      atomic.Bool
	hold        atomic.Pointer[chan struct{}]
	delay       atomic.Int64
	cut         atomic.Pointer[Cut]
	onSend      atomic.Pointer[func([]byte)]
	accepted    atomic.Int64
}

// New listens on a free port of 127.0.0.1 and passes everything to target, host:port.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, connections: map[*connection]struct{}{}}
	p.SetTarget(target)
	go p.accept()
	return p, nil
}

// Close closes the listener and all connections.
func (p *Proxy) Close() {
	p.Release()
	_ = p.listener.Close()
	p.Reset()
}

// Addr returns the address to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget passes new connections to another server. Open connections keep their server; see Reset.
func (p *Proxy) SetTarget(target string) { p.target.Store(&target) }

// Refuse makes the server unreachable. It resets open connections, and new ones as soon as they are accepted.
func (p *Proxy) Refuse() {
	p.refuse.Store(true)
	p.Reset()
}

// Accept ends Refuse.
func (p *Proxy) Accept() { p.refuse.Store(false) }

// Hold keeps back all bytes in both directions until Release, as a hung server does.
func (p *Proxy) Hold() {
	c := make(chan struct{})
	if before := p.hold.Swap(&c); before != nil {
		close(*before)
	}
}

// Release passes on the bytes that Hold kept back.
func (p *Proxy) Release() {
	if c := p.hold.Swap(nil); c != nil {
		close(*c)
	}
}

// Delay delays everything that the server sends by d, as on a slow network. 0 ends the delay.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Reset resets the open connections.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.connections {
		f.reset()
	}
}

// Silence loses everything that either side sends on the open connections. New connections work. A firewall behaves like
// this when it forgets a connection that was idle for long, for example that of a frozen function.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.connections {
		f.silent.Store(true)
	}
}

// Accepted returns the number of connections so far.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// OnSend calls f with each chunk that the program sends, before the chunk is passed on. nil ends that. f may block.
func (p *Proxy) OnSend(f func([]byte)) { p.onSend.Store(&f) }

// Direction is the direction of bytes, as the program sees it.
type Direction bool

// The two directions.
const (
	Sent     Direction = true
	Received Direction = false
)

// Cut closes one connection after a number of bytes.
type Cut struct {
	direction Direction
	mu        sync.Mutex
	left      int
	passed    int
	done      bool
}

// CutAfter passes n more bytes in a direction, counted over all connections, and then cuts the connection that sends the
// next byte. The program sees a reset. The server reads what has passed and then the end of the connection. The cut
// happens once. The next call replaces a cut that has not happened yet.
func (p *Proxy) CutAfter(d Direction, n int) *Cut {
	c := &Cut{direction: d, left: n}
	p.cut.Store(c)
	return c
}

// Happened reports whether a connection was cut, and how many bytes have passed so far.
func (c *Cut) Happened() (bool, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done, c.passed
}

// take returns how many of n bytes may pass, and whether the connection is then cut.
func (c *Cut) take(d Direction, n int) (int, bool) {
	if c == nil || c.direction != d {
		return n, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return n, false
	}
	pass := min(n, c.left)
	c.left -= pass
	c.passed += pass
	c.done = pass < n
	return pass, c.done
}

type connection struct {
	client, server net.Conn
	silent         atomic.Bool
}

func (f *connection) reset() {
	abort(f.client)
	abort(f.server)
}

func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			abort(c)
			continue
		}
		s, err := net.Dial("tcp", *p.target.Load())
		if err != nil {
			abort(c)
			continue
		}
		p.accepted.Add(1)
		f := &connection{client: c, server: s}
		p.mu.Lock()
		p.connections[f] = struct{}{}
		p.mu.Unlock()
		if p.refuse.Load() { // Refuse was called meanwhile
			f.reset()
		}
		go p.pipe(f, s, c, Sent)
		go p.pipe(f, c, s, Received)
	}
}

func (p *Proxy) pipe(f *connection, dst, src net.Conn, d Direction) {
	defer func() {
		if f.silent.Load() {
			_ = src.Close()
			return // the other side does not notice until the proxy ends
		}
		_ = dst.Close()
		_ = src.Close()
		p.mu.Lock()
		delete(p.connections, f)
		p.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && !p.pass(f, dst, buf[:n], d) || err != nil {
			return
		}
	}
}

// pass passes a chunk on. It returns false if the connection ends with it.
func (p *Proxy) pass(f *connection, dst net.Conn, chunk []byte, d Direction) bool {
	if see := p.onSend.Load(); d == Sent && see != nil && *see != nil {
		(*see)(chunk)
	}
	if late := p.delay.Load(); d == Received && late > 0 {
		time.Sleep(time.Duration(late))
	}
	if released := p.hold.Load(); released != nil {
		<-*released
	}
	if f.silent.Load() {
		return true
	}
	n, cut := p.cut.Load().take(d, len(chunk))
	_, err := dst.Write(chunk[:n])
	if !cut {
		return err == nil
	}
	_ = f.server.Close() // the server still reads what was sent
	abort(f.client)
	return false
}
