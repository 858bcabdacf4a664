package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestConnectErrors checks what the log says of a database that cannot be connected to. The sentences stand in
// testdata/connect.txt.
func TestConnectErrors(t *testing.T) {
	t.Parallel()
	valid, expired := selfSigned(t, "127.0.0.1", time.Hour), selfSigned(t, "127.0.0.1", -time.Hour)
	other := selfSigned(t, "192.0.2.1", time.Hour)
	saslOverPlaintext := &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}
	sentences := testenv.CollectSentences(t, "Log: a connection to PostgreSQL or Redis")
	for _, test := range []struct {
		what, params string
		server       pgServer
		want         string // a part of the sentence
	}{
		{"no TLS", "sslmode=require", pgServer{}, "offers no TLS"},
		{"unknown authority", "sslmode=verify-full", pgServer{certificate: &valid}, "self-signed"},
		{"another name", "sslmode=verify-full&sslrootcert=ROOT", pgServer{certificate: &other}, "another host name"},
		{"expired", "sslmode=verify-full&sslrootcert=ROOT", pgServer{certificate: &expired}, "expired"},
		{"channel binding", "sslmode=disable&channel_binding=require", pgServer{first: saslOverPlaintext}, "channel binding"},
		{"Kerberos", "sslmode=disable", pgServer{first: &pgproto3.AuthenticationGSS{}}, "Kerberos"},
		{"the password itself", "sslmode=disable", pgServer{first: &pgproto3.AuthenticationCleartextPassword{}}, "require_auth=password"},
		{"an MD5 hash", "sslmode=disable", pgServer{first: &pgproto3.AuthenticationMD5Password{}}, "require_auth=md5"},
		{"excluded method", "sslmode=disable&require_auth=scram-sha-256", pgServer{first: &pgproto3.AuthenticationOk{}}, "require_auth"},
		{"unknown parameter", "sslmode=disable&nonsense=1", pgServer{first: &pgproto3.ErrorResponse{Severity: "FATAL", Code: "42704", Message: "unrecognized configuration parameter"}}, "42704"},
		{"wrong password", "sslmode=disable", pgServer{first: &pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "password authentication failed"}}, "28P01"},
		{"no such database", "sslmode=disable", pgServer{first: &pgproto3.ErrorResponse{Severity: "FATAL", Code: "3D000", Message: "database does not exist"}}, "3D000"},
	} {
		url := "postgres://u:" + secret + "@" + test.server.listen(t) + "/d?" + strings.Replace(test.params, "ROOT", test.server.root(t), 1)
		db, err := postgres.Open(url, postgres.Options{Budgets: testenv.Budgets().Database})
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		_, err = db.Changes(t.Context(), "")
		db.Close()
		got := errtext.ForLog(err)
		if !strings.Contains(got, test.want) || strings.Contains(got, "*") || strings.Contains(got, secret) || postgres.ErrorClass(err) != "unavailable" {
			t.Errorf("%s: ForLog(%v) = %q, class %s; want %q, no type, and unavailable", test.what, err, got, postgres.ErrorClass(err), test.want)
		}
		sentences.Add(got)
	}
	for _, err := range []error{&net.DNSError{Err: "no such host", IsNotFound: true}, &net.DNSError{Err: "timeout", IsTimeout: true}} {
		sentences.Add(errtext.ForLog(err))
	}
}

// pgServer sends first to each client, after TLS if it has a certificate.
type pgServer struct {
	certificate *tls.Certificate
	first       pgproto3.BackendMessage
}

func (s pgServer) listen(t *testing.T) (address string) {
	t.Helper()
	return serveConns(t, s.serve)
}

// serveConns starts a server that calls serve with each connection.
func serveConns(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func (s pgServer) serve(c net.Conn) {
	defer c.Close()
	var wire io.ReadWriter = c
	backend := pgproto3.NewBackend(c, c)
	m, err := backend.ReceiveStartupMessage()
	if _, ssl := m.(*pgproto3.SSLRequest); ssl && err == nil {
		if s.certificate == nil {
			_, _ = c.Write([]byte("N"))
			return
		}
		_, _ = c.Write([]byte("S"))
		wire = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*s.certificate}, MinVersion: tls.VersionTLS12})
		backend = pgproto3.NewBackend(wire, wire)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
	}
	if s.first != nil {
		backend.Send(s.first)
		_ = backend.Flush()
	}
	_, _ = io.Copy(io.Discard, wire)
}

// root returns a file with the server's certificate.
func (s pgServer) root(t *testing.T) string {
	t.Helper()
	if s.certificate == nil {
		return ""
	}
	file := filepath.Join(t.TempDir(), "root.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate.Certificate[0]})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// selfSigned returns a certificate for ip that expires after the time.
func selfSigned(t *testing.T, ip string, after time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.ParseIP(ip)}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(after),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
