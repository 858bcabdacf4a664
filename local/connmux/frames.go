package connmux

import (
	"errors"
	"time"

	"golang.org/x/net/http2"
)

const (
	// frameRate is how much the frames of an HTTP/2 connection may cost in a second, and at once. Requests and control frames cost 1,
	// data nothing. A client needs one to four for a request, and no client sends 5,000 requests a second on one connection.
	frameRate = 20_000
	// resetCost is the cost of a reset. A reset lets a client start requests without an end, of which the server does most of the work
	// ("rapid reset", CVE-2023-44487). Clients reset requests whose deadline has passed: 1,000 a second are permitted.
	resetCost = 20
	// frameHeader is the size of a frame's header in bytes. https://www.rfc-editor.org/rfc/rfc9113#section-4.1
	frameHeader = 9
)

var errFlood = errors.New("the client sends too many HTTP/2 frames")

// frames counts the frames that a client sends. Neither grpc-go nor net/http limits empty ones, and grpc-go does not limit resets.
type frames struct {
	rest   int // bytes until the next frame
	header [frameHeader]byte
	have   int // bytes of header
	left   int // of the rate
	filled time.Time
}

func newFrames() *frames { return &frames{rest: len(preface), left: frameRate, filled: time.Now()} }

// add counts what was read, and reports whether the client may go on.
func (f *frames) add(b []byte, now func() time.Time) bool {
	for {
		n := min(f.rest, len(b))
		f.rest -= n
		b = b[n:]
		if len(b) == 0 {
			break
		}
		n = copy(f.header[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have == frameHeader {
			f.have = 0
			f.rest = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
			f.left -= f.cost()
		}
	}
	if f.left < 0 { // rare, so that most reads need no time
		f.fill(now())
	}
	return f.left >= 0
}

func (f *frames) fill(now time.Time) {
	f.left = min(frameRate, f.left+int(now.Sub(f.filled).Seconds()*frameRate))
	f.filled = now
}

// cost returns the cost of the frame in header.
func (f *frames) cost() int {
	switch t := http2.FrameType(f.header[3]); {
	case t == http2.FrameRSTStream:
		return resetCost
	case t == http2.FrameData && (f.rest > 0 || http2.Flags(f.header[4]).Has(http2.FlagDataEndStream)):
		return 0
	}
	return 1
}
