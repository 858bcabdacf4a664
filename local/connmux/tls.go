package connmux

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	protocolHTTP = "http/1.1"
	protocolGRPC = "h2"
)

// TLS serves the certificate in certFile, with those that vouch for it, and its key in keyFile, both PEM. They are read again
// when they have changed, and whoever connects then gets the new one; a new one that is wrong is not taken.
//
// Clients of gRPC ask for HTTP/2 and nothing else. One that takes HTTP/1, too, speaks Twirp, and gets HTTP/1.
func TLS(certFile, keyFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{protocolHTTP, protocolGRPC}, // in the order of the server's liking
		GetCertificate: c.get,
	}, nil
}

type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time // of the files, when they were read
}

// get implements tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.load() // the old one is served on until the new one is right
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
