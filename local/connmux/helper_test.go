package connmux_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/osirose-new/database-service/local/connmux"
)

// patience bounds the wait for an event that comes immediately or never.
const patience = time.Minute

// split listens on a new port until the test ends.
func split(t testing.TB, secure *tls.Config) (p *connmux.Port, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = connmux.SplitWithin(l, secure, patience)
	t.Cleanup(func() {
		_ = p.Close() // fails if the test has closed it
		_ = p.HTTP().Close()
		_ = p.GRPC().Close()
	})
	return p, l.Addr().String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// arrival is a connection that a half has returned, with everything that its client sent.
type arrival struct {
	half string
	text string
	err  error
}

// collect reads the connections of both halves until their clients close them.
func collect(p *connmux.Port) <-chan arrival {
	all := make(chan arrival, 1000)
	for name, half := range map[string]net.Listener{"HTTP": p.HTTP(), "gRPC": p.GRPC()} {
		go func() {
			for {
				c, err := half.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					text, err := io.ReadAll(iotest.OneByteReader(c)) // as a reader with a small buffer does
					all <- arrival{name, string(text), err}
				}()
			}
		}()
	}
	return all
}

func wait[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("not reached")
	}
}

// closed reads until the other side closes the connection.
func closed(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// request returns the frames of a client's first request, with other frames of a connection's start.
func request(t testing.TB, contentType string) string {
	t.Helper()
	var b, block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", "/x"}, {":authority", "x"}, {"content-type", contentType}} {
		if err := h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	f := http2.NewFramer(&b, nil)
	first, rest := block.Bytes()[:5], block.Bytes()[5:]
	err := errors.Join(f.WriteSettings(), f.WriteWindowUpdate(0, 1<<20), f.WritePriority(3, http2.PriorityParam{Weight: 9}),
		f.WritePing(false, [8]byte{1}),
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first}), f.WriteContinuation(1, true, rest))
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// acknowledgement is a SETTINGS frame with the flag ACK.
const acknowledgement = "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
