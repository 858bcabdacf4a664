package connmux

import (
	"crypto/tls"
	"net"
	"time"
)

// SplitWithin is Split with a patience of a test's.
func SplitWithin(l net.Listener, secure *tls.Config, d time.Duration) *Port {
	return split(l, secure, d)
}

// Preface is what a client of HTTP/2 begins with.
const Preface = preface
