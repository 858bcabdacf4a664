package callers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// Connection is what is known of a caller's connection.
type Connection struct {
	encrypted, loopback bool
	chain               []*x509.Certificate // the leaf, which the client has proven to own, and what it sent with it; not yet verified
	known               atomic.Pointer[verdict]
}

// NewConnection describes a connection. state is that of its TLS after the handshake; nil means plain text.
func NewConnection(conn net.Conn, state *tls.ConnectionState) *Connection {
	c := &Connection{loopback: isLoopback(conn.RemoteAddr()) && isLoopback(conn.LocalAddr())}
	if state != nil {
		c.encrypted, c.chain = true, state.PeerCertificates
	}
	return c
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// IsLoopback reports whether both ends are on this machine.
func (c *Connection) IsLoopback() bool { return c != nil && c.loopback }

// isPrivate reports whether others cannot read the connection.
func (c *Connection) isPrivate() bool { return c != nil && (c.encrypted || c.loopback) }

func (c *Connection) hasCertificate() bool { return c != nil && len(c.chain) > 0 }

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

// verdict is what the files said about the certificate of a connection.
type verdict struct {
	of        *snapshot
	principal *Principal
	refusal   *Refusal
	until     time.Time // the chain's earliest end
}

// identify verifies the certificate, once for each version of the files.
func (c *Connection) identify(of *snapshot, now time.Time) (*Principal, *Refusal) {
	v := c.known.Load()
	if v == nil || v.of != of {
		v = of.verify(c.chain, now)
		c.known.Store(v)
	}
	if v.refusal == nil && now.After(v.until) {
		return nil, errRefused.because("the certificate has expired")
	}
	return v.principal, v.refusal
}

// verify checks a chain, and finds the caller whom its leaf names.
func (s *snapshot) verify(chain []*x509.Certificate, now time.Time) *verdict {
	refuse := func(cause string) *verdict { return &verdict{of: s, refusal: errRefused.because(cause)} }
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := chain[0]
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return refuse(certificateCause(err))
	}
	p, cause := s.byNames(leaf)
	if p == nil {
		return refuse(cause)
	}
	v := &verdict{of: s, principal: p}
	for _, chain := range chains { // the longest-lived chain counts: verifying later would find it
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if first.NotAfter.After(v.until) {
			v.until = first.NotAfter
		}
	}
	return v
}

func certificateCause(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the certificate has expired or is not valid yet"
	}
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
