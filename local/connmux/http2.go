package connmux

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// firstStreams is the number of concurrent requests until the server's own SETTINGS arrive.
	firstStreams = 100
	// maxHeaders is the size in bytes of the headers of the first request.
	maxHeaders = 64 << 10
	// maxPeek is the number of bytes that are kept until the protocol is known. It is more than a client may send without a
	// WINDOW_UPDATE, and the headers.
	maxPeek = 256 << 10
	// maxPeeked is the number of bytes that are kept of all connections. Above it a connection has freePeek, which is enough for most.
	maxPeeked = 32 << 20
	freePeek  = 1 << 10
	// goAway is a GOAWAY frame without an error. It says that no request was processed.
	goAway = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
)

var (
	errPeek    = errors.New("no request among the first bytes")
	errClosing = errors.New("the server is closing")
)

// isGRPC reads HTTP/2 frames until the first request shows its protocol. Connections on which none comes in time, and those that
// break HTTP/2's rules, are gRPC's: its clients connect before they have a request.
//
// Some clients wait for the server's SETTINGS, so isGRPC sends some. The server sends its own later, which HTTP/2 allows. It must not
// see the client's acknowledgement of the first ones: net/http refuses one that it does not expect.
func (r *replayed) isGRPC(serving context.Context) (is bool, err error) {
	unwatch := context.AfterFunc(serving, func() { _ = r.SetReadDeadline(time.Unix(0, 0)) })
	defer func() {
		if !unwatch() {
			err = errClosing // the read deadline may change at any time
		}
	}()
	frames := http2.NewFramer(r.Conn, recorder{r})
	frames.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	frames.MaxHeaderListSize = maxHeaders
	if err := frames.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: firstStreams}); err != nil {
		return false, err
	}
	isOther, isAcknowledged := false, false
	for !isOther || !isAcknowledged {
		before := len(r.head)
		frame, err := frames.ReadFrame()
		switch {
		case err != nil && isOther:
			return false, err // the client does not acknowledge
		case err != nil:
			return true, nil
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() && !isAcknowledged {
				isAcknowledged, r.head = true, r.head[:before]
			}
		case *http2.MetaHeadersFrame:
			if !isOther && hasGRPC(f) {
				return true, nil
			}
			isOther = true
		}
	}
	return false, nil
}

// refuse makes the client of an HTTP/2 connection send its requests again on another connection.
func (r *replayed) refuse() {
	if r.isHTTP2 {
		_, _ = io.WriteString(r.Conn, goAway) // fails if the client has gone
	}
}

// hasGRPC reports whether a request has one of the content types that grpc-go serves. gRPC-Web is not one.
func hasGRPC(f *http2.MetaHeadersFrame) bool {
	for _, h := range f.RegularFields() {
		if h.Name == "content-type" {
			return IsGRPC(h.Value)
		}
	}
	return false
}

// IsGRPC reports whether requests of this content type are gRPC.
func IsGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(contentType), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// recorder keeps what is read from a connection, so that it is read again.
type recorder struct{ r *replayed }

// Read implements io.Reader.
func (r recorder) Read(b []byte) (int, error) {
	if len(r.r.head) >= maxPeek || len(r.r.head) > freePeek && r.r.port.peeked.Load() > maxPeeked {
		return 0, errPeek
	}
	n, err := r.r.Conn.Read(b[:min(len(b), maxPeek-len(r.r.head))])
	r.r.head = append(r.r.head, b[:n]...)
	r.r.peeked += n
	r.r.port.peeked.Add(int64(n))
	return n, err
}

// secured is a replayed connection with the state of its TLS. net/http must not get one: it would not look for HTTP/2.
type secured struct{ *replayed }

// ConnectionState returns what the handshake has negotiated.
func (s secured) ConnectionState() tls.ConnectionState { return s.tls.ConnectionState() }
