package connmux_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/connmux"
)

// files are a certificate's files. Each write sets a modification time one second later, because two writes may be
// faster than the clock's resolution.
type files struct {
	cert, key string
	at        time.Time
}

func newFiles(t *testing.T, name string) *files {
	t.Helper()
	dir := t.TempDir()
	f := &files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), time.Now().Add(-time.Hour)}
	cert, key := certificate(t, name)
	f.write(t, cert, key)
	return f
}

func (f *files) write(t *testing.T, cert, key []byte) {
	t.Helper()
	f.at = f.at.Add(time.Second)
	for file, text := range map[string][]byte{f.cert: cert, f.key: key} {
		err := os.WriteFile(file, text, 0o600)
		if err == nil {
			err = os.Chtimes(file, f.at, f.at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// splitTLS splits a port with the certificate in f.
func splitTLS(t *testing.T, f *files) (p *connmux.Port, addr string) {
	t.Helper()
	secure, err := connmux.TLS(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	return split(t, secure)
}

// shake connects and does the handshake. The connection's state has the server's certificate.
func shake(t *testing.T, addr string, c *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c.InsecureSkipVerify = true // the test checks the certificate
	conn := tls.Client(dial(t, addr), c)
	return conn, conn.Handshake()
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	p, addr := splitTLS(t, newFiles(t, "first"))
	all := collect(p)
	for what, test := range map[string]struct {
		asked []string
		want  string
	}{
		"gRPC client": {[]string{"h2"}, "gRPC"}, "Go's HTTP client": {[]string{"h2", "http/1.1"}, "gRPC"},
		"HTTP/1 only": {[]string{"http/1.1"}, "HTTP"}, "no ALPN": {nil, "HTTP"},
		"an unsupported protocol too": {[]string{"h3", "h2"}, "gRPC"},
	} {
		c, err := shake(t, addr, &tls.Config{NextProtos: test.asked})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err := io.WriteString(c, what); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := wait(t, what, all); got.half != test.want || got.text != what || got.err != nil {
			t.Errorf("%s arrived at %s as %q, %v, want %s", what, got.half, got.text, got.err, test.want)
		}
	}
}

func TestNoHandshake(t *testing.T) {
	t.Parallel()
	p, addr := splitTLS(t, newFiles(t, "first"))
	all := collect(p)
	if _, err := shake(t, addr, &tls.Config{NextProtos: []string{"h3"}}); err == nil {
		t.Error("the handshake succeeds for a client without a supported protocol")
	}
	if _, err := shake(t, addr, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("the handshake succeeds for a client with TLS 1.1")
	}
	if c, err := shake(t, addr, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("a client with TLS 1.2: %v", err)
	} else {
		c.Close()
		wait(t, "TLS 1.2", all)
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", connmux.Preface + connmux.Preface, "\x16\x03"} {
		_ = closed(send(t, addr, text)) // closed or reset
	}
	if len(all) > 0 {
		t.Errorf("a connection without a handshake arrived at a half: %v", <-all)
	}
}

// TestHTTPS checks that Go's HTTP client, which offers both, gets HTTP/2, and a client of HTTP/1 gets that.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	f := newFiles(t, "first")
	p, addr := splitTLS(t, f)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }), Protocols: &http.Protocols{}}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(p.HTTP()) }()
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	roots := x509.NewCertPool()
	pemText, err := os.ReadFile(f.cert)
	if err != nil || !roots.AppendCertsFromPEM(pemText) {
		t.Fatal(err)
	}
	for want, offersHTTP2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: offersHTTP2}
		defer transport.CloseIdleConnections()
		for range 2 {
			r, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if text, err := io.ReadAll(r.Body); err != nil || string(text) != want || r.TLS == nil {
				t.Errorf("GET = %q, %v, want an answer by %s and TLS", text, err, want)
			}
		}
	}
}

func TestSilentHandshake(t *testing.T) {
	t.Parallel()
	f := newFiles(t, "first")
	secure, err := connmux.TLS(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := connmux.SplitWithin(l, secure, 50*time.Millisecond)
	defer p.Close()
	if err := closed(dial(t, l.Addr().String())); err != nil {
		t.Errorf("silent client: %v, want the connection closed", err)
	}
}

func TestNewCertificate(t *testing.T) {
	t.Parallel()
	f := newFiles(t, "first")
	p, addr := splitTLS(t, f)
	collect(p)
	want := func(when, want string) {
		t.Helper()
		c, err := shake(t, addr, &tls.Config{})
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		defer c.Close()
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%s: got the certificate of %s, want that of %s", when, got, want)
		}
	}
	want("at the start", "first")
	cert, key := certificate(t, "second")
	f.write(t, cert, key)
	want("after a change", "second")
	want("after it", "second")
	third, thirdKey := certificate(t, "third")
	for what, wrong := range map[string][2][]byte{
		"no certificate": {[]byte("garbage"), key}, "empty": {nil, nil}, "another's key": {third, key}, "half of it": {third[:len(third)/2], thirdKey},
	} {
		f.write(t, wrong[0], wrong[1])
		want("with "+what, "second")
	}
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	want("without a file", "second")
	f.write(t, third, thirdKey)
	want("after it was mended", "third")
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	f := newFiles(t, "first")
	hidden := filepath.Join(t.TempDir(), "hidden")
	if err := os.WriteFile(hidden, []byte("the secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct{ cert, key string }{
		"no certificate": {hidden, f.key}, "no key": {f.cert, hidden}, "the wrong way round": {f.key, f.cert},
		"no file": {f.cert + "x", f.key}, "a directory": {filepath.Dir(f.cert), f.key},
	} {
		c, err := connmux.TLS(test.cert, test.key)
		if err == nil || c != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("TLS with %s = %v, %v, want an error without the text of a file", what, c, err)
		}
	}
	if _, err := connmux.TLS(f.cert+"x", f.key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("TLS without a file = %v, want %v", err, os.ErrNotExist)
	}
}

// TestCipherSuites offers each suite of TLS 1.2 alone. Only those that HTTP/2 permits are accepted.
func TestCipherSuites(t *testing.T) {
	t.Parallel()
	f := newFiles(t, "suites")
	config, err := connmux.TLS(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_") { // the certificate's kind of key
			continue
		}
		client, server := net.Pipe()
		go func() {
			_ = tls.Server(server, config).Handshake() // the client sees the error
			server.Close()
		}()
		err := tls.Client(client, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}).Handshake()
		client.Close()
		if modern := strings.Contains(suite.Name, "GCM") || strings.Contains(suite.Name, "CHACHA20"); (err == nil) != modern {
			t.Errorf("%s: %v, accepted is to be %t", suite.Name, err, modern)
		}
	}
}
