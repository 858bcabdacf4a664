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

// front is a server that asks for a login over TLS, and passes on to a real one whoever has the right one. Its certificate
// is for localhost, and not for 127.0.0.1.
type front struct {
	net.Listener
	tls    *tls.Config
	roots  *x509.CertPool
	ca     string // a file
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
			t.Errorf("at the front: %v", *err)
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

// splice passes bytes both ways until one side ends.
func splice(client io.ReadWriter, server net.Conn) {
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// eventually reads from db. A machine that is short of CPU may need more than a request's time for a new connection.
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
