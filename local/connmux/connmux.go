// Package connmux serves two protocols on one port: HTTP/1 and HTTP/2 for Twirp, and HTTP/2 for gRPC. In plain text it looks for
// HTTP/2's preface, the first bytes that a client sends. Under TLS it uses the protocol that the handshake has negotiated (ALPN).
// The first request of an HTTP/2 connection decides who serves the connection. After that nothing is parsed here.
package connmux

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client may take until its protocol is known, including the TLS handshake. An HTTP/2 connection without a
// request is gRPC's after that time.
const patience = 5 * time.Second

// preface begins each HTTP/2 connection. https://www.rfc-editor.org/rfc/rfc9113#section-3.4
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Port splits the connections of one listener between two.
type Port struct {
	listener   net.Listener
	secure     *tls.Config // nil: plain text
	patience   time.Duration
	http, grpc *half
	peeked     atomic.Int64 // bytes kept of connections whose protocol is not known yet
	useless    *addresses
	pause      time.Duration
	floods     atomic.Uint64
}

// Split takes over the connections of l. Both HTTP and GRPC must be served; their servers close them. Close closes l.
func Split(l net.Listener, secure *tls.Config) *Port { return split(l, secure, patience) }

func split(l net.Listener, secure *tls.Config, patience time.Duration) *Port {
	p := &Port{
		listener: l, secure: secure, patience: patience, pause: pause,
		http: newHalf(l.Addr()), grpc: newHalf(l.Addr()), useless: newAddresses(),
	}
	go p.run()
	return p
}

// HTTP returns the listener of the HTTP/1 connections, and of the HTTP/2 connections that do not begin with gRPC. The latter are in
// plain text for the server, under TLS, too; [State] tells.
func (p *Port) HTTP() net.Listener { return p.http }

// GRPC returns the listener of the other HTTP/2 connections. Those under TLS have the method ConnectionState of a tls.Conn.
func (p *Port) GRPC() net.Listener { return p.grpc }

// Floods returns how many connections were closed because their clients sent too many HTTP/2 frames.
func (p *Port) Floods() uint64 { return p.floods.Load() }

// Close refuses new connections. Accept still returns those that are connected already, until its listener is closed.
func (p *Port) Close() error { return p.listener.Close() }

func (p *Port) run() {
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			go p.sort(c)
		case errors.Is(err, net.ErrClosed):
			return
		case isTemporary(err):
			time.Sleep(acceptPause) // for example, out of file descriptors; net/http waits, too
		default:
			p.http.fail(err)
			p.grpc.fail(err)
			return
		}
	}
}

// acceptPause is the pause after Accept failed.
const acceptPause = 10 * time.Millisecond

// temporary is the part of net.Error that isTemporary needs. The method is deprecated there, because it is well defined for
// Accept only.
type temporary interface {
	error
	Temporary() bool
}

func isTemporary(err error) bool {
	e, ok := errors.AsType[temporary](err)
	return ok && e.Temporary()
}

// sort passes a connection to the listener of its protocol.
func (p *Port) sort(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(p.patience)) // fails if the client has gone
	c, to, err := p.find(c)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil || !to.put(c) {
		if r, ok := c.(interface{ refuse() }); ok {
			r.refuse()
		}
		_ = c.Close() // there is no caller to report an error to
	}
}

// find returns the listener of a connection, and the connection as it is for that listener.
func (p *Port) find(c net.Conn) (net.Conn, *half, error) {
	var s *tls.Conn
	if p.secure != nil {
		s = tls.Server(c, p.secure)
		if err := s.Handshake(); err != nil || s.ConnectionState().NegotiatedProtocol != protocolHTTP2 {
			return s, p.http, err
		}
		c = s
	}
	r := &replayed{Conn: c, tls: s, port: p}
	defer func() { p.peeked.Add(-int64(r.peeked)) }()
	err := r.peek()
	isGRPC := s != nil // grpc-go refuses a client that has negotiated HTTP/2 and speaks something else
	if r.isHTTP2 && err == nil {
		isGRPC, err = r.isGRPC(p.grpc.serving)
	}
	switch {
	case !isGRPC:
		return r, p.http, err
	case s == nil:
		return r, p.grpc, err
	}
	return secured{r}, p.grpc, err
}

// State returns the state of the TLS of a connection of [Port.HTTP] or [Port.GRPC], nil for plain text.
func State(c net.Conn) *tls.ConnectionState {
	var s *tls.Conn
	switch c := c.(type) {
	case *tls.Conn:
		s = c
	case *replayed:
		s = c.tls
	case secured:
		s = c.tls
	}
	if s == nil {
		return nil
	}
	state := s.ConnectionState()
	return &state
}

// replayed is a connection whose first bytes were read already, and are returned again.
type replayed struct {
	net.Conn
	port    *Port
	tls     *tls.Conn // nil: plain text
	head    []byte
	peeked  int // bytes in head that count for the port
	isHTTP2 bool
	frames  *frames // nil: HTTP/1
}

// peek reads until it knows whether the client speaks HTTP/2.
func (r *replayed) peek() error {
	head := make([]byte, len(preface))
	for n := 0; ; {
		m, err := r.Conn.Read(head[n:])
		n += m
		r.head = head[:n]
		switch {
		case string(r.head) != preface[:n]:
			return nil
		case n == len(preface):
			r.isHTTP2, r.frames = true, newFrames()
			return nil
		case err != nil:
			return err
		}
	}
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	n, err := r.read(b)
	if r.frames == nil || r.permits(b[:n]) {
		return n, err
	}
	r.port.floods.Add(1)
	select {
	case <-time.After(r.port.pause):
	case <-r.port.http.serving.Done(): // a shutdown does not wait
	case <-r.port.grpc.serving.Done():
	}
	_ = r.Close() // its client may have gone
	return 0, errFlood
}

// permits counts the frames that were read.
func (r *replayed) permits(b []byte) bool {
	useful, useless := r.frames.count(b)
	return r.frames.bucket.take(useful, frameRate, time.Now) &&
		(useless == 0 || r.port.useless.take(r.RemoteAddr(), useless, time.Now))
}

func (r *replayed) read(b []byte) (int, error) {
	if r.head == nil {
		return r.Conn.Read(b)
	}
	n := copy(b, r.head)
	if r.head = r.head[n:]; len(r.head) == 0 {
		r.head = nil
	}
	return n, nil
}

// CloseWrite ends the answer while the client may still send. net/http calls it if it answers before it has read the whole
// request.
func (r *replayed) CloseWrite() error {
	if c, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// half is the listener of one protocol.
type half struct {
	addr    net.Addr
	conns   chan net.Conn
	serving context.Context // until Close
	close   context.CancelFunc

	mu  sync.Mutex
	err error
}

func newHalf(addr net.Addr) *half {
	h := &half{addr: addr, conns: make(chan net.Conn), err: net.ErrClosed}
	h.serving, h.close = context.WithCancel(context.Background())
	return h
}

// put reports whether Accept took the connection.
func (h *half) put(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.serving.Done():
		return false
	}
}

func (h *half) fail(err error) {
	h.mu.Lock()
	h.err = err
	h.mu.Unlock()
	h.close()
}

// Accept implements net.Listener.
func (h *half) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.serving.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		return nil, h.err
	}
}

// Close implements net.Listener.
func (h *half) Close() error {
	h.close()
	return nil
}

// Addr implements net.Listener.
func (h *half) Addr() net.Addr { return h.addr }
