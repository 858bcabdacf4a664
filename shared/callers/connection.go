package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Connection is what is known of a caller's connection.
type Connection struct {
	loopback bool
	host     string
	// tls returns whether the connection is encrypted, and the client's certificates: the leaf, which the client has proven to own,
	// and what it sent with it. They are not verified yet.
	tls func() (encrypted bool, chain []*x509.Certificate)

	known atomic.Pointer[verdict]
	mu    sync.Mutex // locked during a verification, so that the requests of a connection share it
}

// NewConnection describes a connection. state is that of its TLS, nil for plain text. It is called with the first request, after
// the handshake.
func NewConnection(conn net.Conn, state func() *tls.ConnectionState) *Connection {
	return &Connection{
		loopback: isLoopback(conn.RemoteAddr()) && isLoopback(conn.LocalAddr()), host: HostOf(conn.RemoteAddr()),
		tls: sync.OnceValues(func() (bool, []*x509.Certificate) {
			if s := state(); s != nil {
				return true, s.PeerCertificates
			}
			return false, nil
		}),
	}
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// HostOf returns the address without the port, "" if it is no TCP address. Of IPv6 it is the network of 64 bits, because one machine can
// have all of its addresses.
func HostOf(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return ""
	}
	if ip := tcp.AddrPort().Addr().Unmap(); ip.Is6() {
		network, _ := ip.WithZone("").Prefix(64) // fails only for more bits than an address has
		return network.String()
	}
	return tcp.IP.String()
}

// Host returns the address of the other end without its port, "" if it is not known. Of IPv6 it is the network of 64 bits.
func (c *Connection) Host() string {
	if c == nil {
		return ""
	}
	return c.host
}

// IsLoopback reports whether both ends are on this machine.
func (c *Connection) IsLoopback() bool { return c != nil && c.loopback }

// isPrivate reports whether others cannot read the connection.
func (c *Connection) isPrivate() bool {
	if c == nil {
		return false
	}
	encrypted, _ := c.tls()
	return encrypted || c.loopback
}

// IsEncrypted reports whether the connection has TLS.
func (c *Connection) IsEncrypted() bool {
	if c == nil {
		return false
	}
	encrypted, _ := c.tls()
	return encrypted
}

// certificates returns the client's certificates, nil if it has presented none.
func (c *Connection) certificates() []*x509.Certificate {
	if c == nil {
		return nil
	}
	_, chain := c.tls()
	return chain
}

type connectionKey struct{}

// WithConnection returns a context whose requests come on c.
func WithConnection(ctx context.Context, c *Connection) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// ConnectionFrom returns the connection of a request, nil if there is none.
func ConnectionFrom(ctx context.Context) *Connection {
	c, _ := ctx.Value(connectionKey{}).(*Connection)
	return c
}

// maxChain is the number of certificates that a client may present. Every one costs the search for a chain signatures to check.
const maxChain = 4

// verdict is what the files said about the certificate of a connection.
type verdict struct {
	of        *snapshot
	principal *Principal
	refusal   *Refusal
	until     time.Time // then it is verified again; zero: it does not depend on the time
}

func (v *verdict) holds(of *snapshot, now time.Time) bool {
	return v != nil && v.of == of && (v.until.IsZero() || now.Before(v.until))
}

// identify verifies the certificate, once for each version of the files, and when the time may change what came of it.
func (c *Connection) identify(of *snapshot, now time.Time) (*Principal, *Refusal) {
	v := c.known.Load()
	if !v.holds(of, now) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v = c.known.Load(); !v.holds(of, now) {
			v = of.verify(c.certificates(), now)
			c.known.Store(v)
		}
	}
	return v.principal, v.refusal
}

// verify finds the caller whom a chain's leaf names, and checks the chain. A stranger's name costs no signature.
func (s *snapshot) verify(chain []*x509.Certificate, now time.Time) *verdict {
	refuse := func(cause string) *verdict { return &verdict{of: s, refusal: errRefused.because(cause)} }
	if len(chain) > maxChain {
		return refuse("the certificate came with too many others")
	}
	p, cause := s.byNames(chain[0])
	if p == nil {
		return refuse(cause)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{
		Roots: s.authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		v := refuse("the certificate has expired or is not valid yet")
		v.until = now.Add(reloadEvery)
		return v
	}
	if err != nil {
		return refuse(certificateCause(err))
	}
	v := &verdict{of: s, principal: p}
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if end := first.NotAfter.Add(1); end.After(v.until) { // it is valid at NotAfter, too
			v.until = end
		}
	}
	return v
}

func certificateCause(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is not from an authority in TLS_CLIENT_CA_FILE"
	}
	return "the certificate is not valid for a client"
}

// byNames finds the caller whom a certificate names: by its URIs, or if it has none, by its DNS names.
func (s *snapshot) byNames(leaf *x509.Certificate) (*Principal, string) {
	names := leaf.DNSNames
	if len(leaf.URIs) > 0 {
		names = nil
		for _, u := range leaf.URIs {
			names = append(names, u.String())
		}
	}
	var found *Principal
	for _, name := range names {
		p := s.certificates[name]
		if p != nil && found != nil && p != found {
			return nil, "the certificate names two callers"
		}
		if p != nil {
			found = p
		}
	}
	return found, "the certificate names no caller in CALLERS_FILE"
}
