// Package faultproxy is a TCP proxy that plays the network's faults, on connections that are open, too: it holds, delays,
// loses and cuts what passes. Tests and benchmarks stand it between the program and a server.
package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes everything to its target but for the faults that it was told to play. Its methods may be called
// concurrently.
type Proxy struct {
	listener net.Listener
	target   atomic.Pointer[string]
	mu       sync.Mutex
	flows    map[*flow]struct{}
	refuse   atomic.Bool
	hold     atomic.Pointer[chan struct{}]
	delay    atomic.Int64
	cut      atomic.Pointer[Cut]
	onSend   atomic.Pointer[func([]byte)]
	accepted atomic.Int64
}

// New listens on a port of its own on 127.0.0.1 and passes everything to target, host:port.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, flows: map[*flow]struct{}{}}
	p.SetTarget(target)
	go p.accept()
	return p, nil
}

// Close ends all flows and listens no more.
func (p *Proxy) Close() {
	p.Release()
	_ = p.listener.Close()
	p.Reset()
}

// Addr is where to connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget passes new connections to another server. Open ones stay where they are; see Reset.
func (p *Proxy) SetTarget(target string) { p.target.Store(&target) }

// Refuse makes the server unreachable: open connections are reset, new ones at once.
func (p *Proxy) Refuse() {
	p.refuse.Store(true)
	p.Reset()
}

// Accept ends Refuse.
func (p *Proxy) Accept() { p.refuse.Store(false) }

// Hold keeps all bytes back, in both directions, as a hung server does, until Release.
func (p *Proxy) Hold() {
	c := make(chan struct{})
	if before := p.hold.Swap(&c); before != nil {
		close(*before)
	}
}

// Release lets the bytes go that Hold kept.
func (p *Proxy) Release() {
	if c := p.hold.Swap(nil); c != nil {
		close(*c)
	}
}

// Delay has what the server sends arrive later by d, as on a slow network; 0 ends that.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Reset breaks the open connections.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		f.reset()
	}
}

// Silence kills the open connections without a word: what is sent on them, by either side, is lost. New ones work. So a
// firewall forgets a flow that was idle for long, as those of a frozen function are.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.flows {
		f.silent.Store(true)
	}
}

// Accepted is how many connections there have been so far.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// OnSend has f see what the program sends, chunk by chunk, before it goes on; nil ends that. f may block.
func (p *Proxy) OnSend(f func([]byte)) {
	if f == nil {
		p.onSend.Store(nil)
		return
	}
	p.onSend.Store(&f)
}

// Direction is the way that bytes go.
type Direction bool

// The two of them, seen from the program.
const (
	Sent     Direction = true
	Received Direction = false
)

// Cut breaks one connection after a number of bytes.
type Cut struct {
	direction Direction
	mu        sync.Mutex
	left      int
	passed    int
	done      bool
}

// CutAfter lets n more bytes pass in a direction, those of all flows together, and then breaks the flow whose next byte
// comes: the program's side sees the connection reset, and the server reads what has passed and then its end. It happens
// once; the next call replaces one that has not.
func (p *Proxy) CutAfter(d Direction, n int) *Cut {
	c := &Cut{direction: d, left: n}
	p.cut.Store(c)
	return c
}

// Happened reports whether a connection was cut, else how many bytes have passed so far.
func (c *Cut) Happened() (bool, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done, c.passed
}

// take says how many of n bytes may pass, and whether the flow is to be cut then.
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

type flow struct {
	client, server net.Conn
	silent         atomic.Bool
}

func (f *flow) reset() {
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
		f := &flow{client: c, server: s}
		p.mu.Lock()
		p.flows[f] = struct{}{}
		p.mu.Unlock()
		if p.refuse.Load() { // since it was asked
			f.reset()
		}
		go p.pipe(f, s, c, Sent)
		go p.pipe(f, c, s, Received)
	}
}

func (p *Proxy) pipe(f *flow, dst, src net.Conn, d Direction) {
	defer func() {
		if f.silent.Load() {
			_ = src.Close()
			return // the other side does not hear of it, until the proxy ends
		}
		_ = dst.Close()
		_ = src.Close()
		p.mu.Lock()
		delete(p.flows, f)
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

// pass sends a chunk on, and is false where that was the flow's last.
func (p *Proxy) pass(f *flow, dst net.Conn, chunk []byte, d Direction) bool {
	if see := p.onSend.Load(); d == Sent && see != nil {
		(*see)(chunk)
	}
	if late := p.delay.Load(); d == Received && late > 0 {
		time.Sleep(time.Duration(late))
	}
	if held := p.hold.Load(); held != nil {
		<-*held
	}
	if f.silent.Load() {
		return true
	}
	n, cut := p.cut.Load().take(d, len(chunk))
	_, err := dst.Write(chunk[:n])
	if !cut {
		return err == nil
	}
	_ = f.server.Close() // it gets to read what was sent
	abort(f.client)
	return false
}
