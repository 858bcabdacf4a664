package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	Cert *x509.Certificate
	key  crypto.Signer
	now  time.Time
}

// SelfSigned returns what signs each certificate with the certificate's own key.
func SelfSigned(now time.Time) Authority { return Authority{now: now} }

// NewAuthority returns an authority whose certificates begin a minute before now, and end an hour after it.
func NewAuthority(t testing.TB, now time.Time) Authority {
	t.Helper()
	return SelfSigned(now).Issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
}

// Issue makes a certificate and its key. Its time is the authority's and its use a client's, unless the template has others.
func (a Authority) Issue(t testing.TB, template *x509.Certificate) Authority {
	t.Helper()
	issued, err := a.TryIssue(template)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// TryIssue is Issue for a template that no certificate may be able to have.
func (a Authority) TryIssue(template *x509.Certificate) (Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Authority{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return Authority{}, err
	}
	template.Subject = pkix.Name{CommonName: template.SerialNumber.String()}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = a.now.Add(-time.Minute), a.now.Add(time.Hour)
	}
	if !template.IsCA && template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	parent, signer := a.Cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return Authority{cert, key, a.now}, err
}

// PEM returns the certificate as a file has it.
func (a Authority) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Cert.Raw}))
}

// TLS returns the certificate and its key, for a client.
func (a Authority) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.Cert.Raw}, PrivateKey: a.key}
}

// URI is the template of a certificate that names URIs.
func URI(t testing.TB, names ...string) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{}
	for _, name := range names {
		u, err := url.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	return c
}
