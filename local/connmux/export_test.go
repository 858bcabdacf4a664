package connmux

import (
	"crypto/tls"
	"net"
	"time"
)

// SplitWithin is Split with another patience.
func SplitWithin(l net.Listener, secure *tls.Config, d time.Duration) *Port {
	return split(l, secure, d)
}

// Preface begins each HTTP/2 connection.
const Preface = preface
