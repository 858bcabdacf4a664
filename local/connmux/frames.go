package connmux

import (
	"errors"
	"hash/maphash"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/osirose-new/database-service/shared/callers"
)

const (
	// frameRate is how many requests and control frames a client may send on an HTTP/2 connection in a second, and at once. A client needs
	// one to four for a request, and no client sends 5,000 requests a second on one connection.
	frameRate = 20_000
	// uselessRate is how many frames of the kinds that a client hardly needs the clients of one address may send in a second, and at
	// once. A reset belongs to them: it lets a client start requests without an end, of which the server does most of the work ("rapid reset",
	// CVE-2023-44487). Clients reset requests whose deadline has passed. The rate is that of an address, because a client that is sent
	// away connects again.
	uselessRate = 500
	// pause is the time until a connection is closed because of its frames. Nothing is read from it meanwhile, so its client cannot use
	// the next connection at once.
	pause = time.Second
	// frameHeader is the size of a frame's header in bytes. https://www.rfc-editor.org/rfc/rfc9113#section-4.1
	frameHeader = 9
)

var errFlood = errors.New("the client sends too many HTTP/2 frames")

// bucket is a token bucket. It looks at the time only if it is empty.
type bucket struct {
	left   int
	filled time.Time
}

// take reports whether there are n tokens.
func (b *bucket) take(n, rate int, now func() time.Time) bool {
	b.left -= n
	if b.left < 0 {
		at := now()
		b.left = min(rate, b.left+int(min(at.Sub(b.filled), time.Minute).Seconds()*float64(rate)))
		b.filled = at
	}
	return b.left >= 0
}

// frames counts the frames that a client sends. Neither grpc-go nor net/http limits empty ones, and grpc-go does not limit resets.
type frames struct {
	rest   int // bytes until the next frame
	header [frameHeader]byte
	have   int // bytes of header
	bucket bucket
}

func newFrames() *frames {
	return &frames{rest: len(preface), bucket: bucket{frameRate, time.Now()}}
}

// count returns how many frames begin in what was read.
func (f *frames) count(b []byte) (useful, useless int) {
	for {
		n := min(f.rest, len(b))
		f.rest -= n
		b = b[n:]
		if len(b) == 0 {
			return useful, useless
		}
		n = copy(f.header[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have < frameHeader {
			return useful, useless
		}
		f.have = 0
		f.rest = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
		switch flags := http2.Flags(f.header[4]); http2.FrameType(f.header[3]) {
		case http2.FrameData:
			if f.rest == 0 && !flags.Has(http2.FlagDataEndStream) {
				useless++
			}
		case http2.FrameHeaders, http2.FrameWindowUpdate, http2.FramePing:
			useful++
		case http2.FrameSettings:
			if flags.Has(http2.FlagSettingsAck) { // the server decides how many
				useful++
				continue
			}
			useless++
		default:
			useless++
		}
	}
}

// addresses counts the useless frames by the address of the client, for IPv6 by its network. An address shares its bucket with others, at random: the clients
// of those have no use for it.
type addresses struct {
	seed    maphash.Seed
	mu      sync.Mutex
	buckets [1024]bucket
}

func newAddresses() *addresses { return &addresses{seed: maphash.MakeSeed()} }

// take reports whether the clients of an address may go on.
func (a *addresses) take(client net.Addr, n int, now func() time.Time) bool {
	i := maphash.String(a.seed, callers.HostOf(client)) % uint64(len(a.buckets))
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.buckets[i].take(n, uselessRate, now)
}
