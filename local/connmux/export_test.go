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

// FrameCount counts the frames of one connection.
type FrameCount struct{ f *frames }

// NewFrameCount returns a count for a connection after its preface.
func NewFrameCount(now time.Time) FrameCount {
	return FrameCount{&frames{left: frameRate, filled: now}}
}

// Add reports whether the client may go on.
func (c FrameCount) Add(b []byte, now time.Time) bool {
	return c.f.add(b, func() time.Time { return now })
}
