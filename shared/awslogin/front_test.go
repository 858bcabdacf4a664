package awslogin_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

// front is a proxy that requires a login over TLS, and forwards clients with the right login to a real server. Its
// certificate is for localhost, not for 127.0.0.1.
type front struct {
	net.Listener
	tls    *tls.Config
	roots  *x509.CertPool
	ca     string // file with the certificate
	logins atomic.Int64
	fault  atomic.Pointer[error]
}

func newFront(t *testing.T, serve func(f *front, c net.Conn) error) *front {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{roots: x509.NewCertPool(), ca: filepath.Join(t.TempDir(), "ca.pem")}
	f.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	f.roots.AppendCertsFromPEM(text)
	if err := os.WriteFile(f.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if f.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.Close()
		if err := f.fault.Load(); err != nil {
			t.Errorf("the proxy: %v", *err)
		}
	})
	go func() {
		for {
			c, err := f.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if err := serve(f, c); err != nil {
					f.fault.Store(&err)
				}
			}()
		}
	}()
	return f
}

func (f *front) port() string {
	_, port, _ := net.SplitHostPort(f.Addr().String())
	return port
}

// splice forwards bytes in both directions until one side closes.
func splice(client io.ReadWriter, server net.Conn) {
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// eventually reads from db, and retries after a timeout: on a busy machine a new connection may take longer than a
// request may.
func eventually(t testing.TB, db *postgres.DB) {
	t.Helper()
	err := selectOne(t.Context(), db)
	for errors.Is(err, context.DeadlineExceeded) && t.Context().Err() == nil {
		err = selectOne(t.Context(), db)
	}
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
}

func selectOne(ctx context.Context, db *postgres.DB) error {
	return db.Read(ctx, func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, `SELECT 1`)
		return err
	})
}
