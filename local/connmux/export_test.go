package connmux

import (
	"crypto/tls"
	"net"
	"time"
)

// SplitWithin is Split with d instead of patience.
func SplitWithin(l net.Listener, secure *tls.Config, d time.Duration) *Port {
	return split(l, secure, d)
}

// Preface is the first bytes of each HTTP/2 connection.
const Preface = preface
