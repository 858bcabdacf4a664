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

// FrameCount counts the frames of the connections of one address.
type FrameCount struct {
	f *frames
	a *addresses
}

// NewFrameCount returns a count for a connection after its preface.
func NewFrameCount() FrameCount {
	return FrameCount{&frames{}, newAddresses()}
}

// Useless reports whether the client of an address may send the frames, which count there.
func (c FrameCount) Useless(from string, b []byte, now time.Time) bool {
	_, n := c.f.count(b)
	return c.a.take(&net.TCPAddr{IP: net.ParseIP(from)}, n, func() time.Time { return now })
}

// Useful returns how many frames count for the connection.
func (c FrameCount) Useful(b []byte) int {
	n, _ := c.f.count(b)
	return n
}
