package connmux

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	protocolHTTP1 = "http/1.1"
	protocolHTTP2 = "h2"
)

// suites are the ones of TLS 1.2 that HTTP/2 permits, so every gRPC client has them. Go's default has two more with CBC, for clients of
// before 2013. TLS 1.3 has its own.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLS returns a configuration that serves the certificate chain in certFile with the key in keyFile, both PEM. It reads the
// files again after they have changed. New connections get the new certificate; if it is not valid, they get the old one.
//
// A client that offers both gets HTTP/2: it may be a gRPC client.
func TLS(certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   suites,
		NextProtos:     []string{protocolHTTP2, protocolHTTP1}, // in the server's order of preference
		GetCertificate: c.get,
		ClientAuth:     tls.RequestClientCert, // package callers verifies it, so that all credentials are refused in one way
	}, nil
}

type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time // modification times of the files that were read
}

// get implements tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load() // on an error the old certificate is used
	return c.current, nil
}

// load reads the files if they have changed.
func (c *certificate) load() error {
	var changed [2]time.Time
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if c.current != nil && changed == c.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.current, c.changed = &pair, changed
	return nil
}
