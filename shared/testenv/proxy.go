package testenv

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between the program and a server and plays the network's faults, on connections that are open, too.
type Proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	flows    map[*flow]struct{}
	refuse   atomic.Bool
	hold     atomic.Pointer[chan struct{}]
	onSend   atomic.Pointer[func([]byte)]
	accepted atomic.Int64
}

// NewProxy listens on a port of its own and passes everything to target.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, flows: map[*flow]struct{}{}}
	go p.accept()
	t.Cleanup(func() {
		p.Release()
		_ = l.Close()
		p.Reset()
	})
	return p
}

// Addr is where to connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

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
	p.hold.Store(&c)
}

// Release lets the bytes go that Hold kept.
func (p *Proxy) Release() {
	if c := p.hold.Swap(nil); c != nil {
		close(*c)
	}
}

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

type flow struct {
	client, server net.Conn
	silent         atomic.Bool
}

func (f *flow) reset() {
	for _, c := range []net.Conn{f.client, f.server} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			(&flow{client: c, server: c}).reset()
			continue
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.accepted.Add(1)
		f := &flow{client: c, server: s}
		p.mu.Lock()
		p.flows[f] = struct{}{}
		p.mu.Unlock()
		go p.pipe(f, s, c, true) // what the program sends
		go p.pipe(f, c, s, false)
	}
}

func (p *Proxy) pipe(f *flow, dst, src net.Conn, sending bool) {
	defer func() {
		if f.silent.Load() {
			_ = src.Close()
			return // the other side does not hear of it, until the test ends
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
		if n > 0 {
			if see := p.onSend.Load(); sending && see != nil {
				(*see)(buf[:n])
			}
			if held := p.hold.Load(); held != nil {
				<-*held
			}
			if f.silent.Load() {
				continue
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
