package connmux_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/osirose-new/database-service/local/connmux"
)

// halfOf returns the half that should get a stream of bytes. It is empty if the stream ends before its protocol is
// known.
func halfOf(text string) string {
	switch {
	case strings.HasPrefix(text, connmux.Preface):
		return "gRPC"
	case strings.HasPrefix(connmux.Preface, text):
		return ""
	}
	return "HTTP"
}

// send writes the parts one by one, and then closes its side.
func send(t testing.TB, addr string, parts ...string) net.Conn {
	t.Helper()
	c := dial(t, addr)
	for _, part := range parts {
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSplit(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	for what, parts := range map[string][]string{
		"a POST":                            {"POST / HTTP/1.1\r\n\r\n"},
		"a POST, byte by byte":              strings.Split("POST / HTTP/1.1\r\n\r\n", ""),
		"a GET":                             {"GET / HTTP/1.1\r\n\r\n"},
		"another verb with a P":             {"PRINT / HTTP/1.1\r\n\r\n"},
		"the preface":                       {connmux.Preface},
		"the preface, byte by byte":         strings.Split(connmux.Preface, ""),
		"the preface and frames":            {connmux.Preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		"the preface and frames, in halves": {connmux.Preface[:20], connmux.Preface[20:] + "frames", "more"},
		"PRI and something else":            {"PRI", " / HTTP/1.1\r\n\r\n"},
		"the preface without its end":       {connmux.Preface[:23], "x and more"},
		"two requests at once":              {"GET / HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"},
		"no text":                           {"\x00\xff", "\x16\x03"},
		"a small p":                         {"pri * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	} {
		send(t, addr, parts...)
		text := strings.Join(parts, "")
		if got := wait(t, what, all); got.half != halfOf(text) || got.text != text || got.err != nil {
			t.Errorf("%s arrived at %s as %q, %v; want %s and %q", what, got.half, got.text, got.err, halfOf(text), text)
		}
	}
	for _, text := range []string{"", "P", "PRI", connmux.Preface[:len(connmux.Preface)-1]} {
		if err := closed(send(t, addr, text)); err != nil {
			t.Errorf("%q and the end: %v, want the connection closed", text, err)
		}
		select {
		case got := <-all:
			t.Errorf("%q and the end arrived at %s, want the connection closed", text, got.half)
		default:
		}
	}
}

// All bytes arrive at one half, in order, however they are split.
func TestSplitAnything(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	rapid.Check(t, func(r *rapid.T) {
		head := connmux.Preface[:rapid.IntRange(0, len(connmux.Preface)).Draw(r, "of the preface")]
		text := head + string(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(r, "and then"))
		var parts []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(r, "bytes at once")
			parts, rest = append(parts, rest[:n]), rest[n:]
		}
		c := send(t, addr, parts...)
		if halfOf(text) == "" {
			if err := closed(c); err != nil {
				r.Fatalf("%q: %v, want the connection closed", text, err)
			}
		} else if got := wait(t, "a connection", all); got.half != halfOf(text) || got.text != text || got.err != nil {
			r.Fatalf("%q arrived at %s as %q, %v", text, got.half, got.text, got.err)
		}
		_ = c.Close()
		if len(all) > 0 {
			r.Fatalf("%q arrived twice", text)
		}
	})
}

func TestConcurrentConnections(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	var wg sync.WaitGroup
	want := map[string]bool{}
	for i := range 200 {
		text := fmt.Sprintf("GET /%d HTTP/1.1\r\n\r\n", i)
		if i%2 == 0 {
			text = connmux.Preface + text
		}
		want[text] = true
		wg.Go(func() { send(t, addr, text[:5], text[5:]) })
	}
	wg.Wait()
	for range len(want) {
		got := wait(t, "a connection", all)
		if !want[got.text] || got.half != halfOf(got.text) || got.err != nil {
			t.Errorf("%q arrived at %s, %v", got.text, got.half, got.err)
		}
		delete(want, got.text)
	}
}

// A connection that does not show its protocol in time is closed. No other connection waits for it.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{"nothing": "", "a part of the preface": "PRI * HTTP"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := connmux.SplitWithin(l, nil, 50*time.Millisecond)
		all := collect(p)
		c := dial(t, l.Addr().String())
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if err := closed(c); err != nil && !errors.Is(err, syscall.ECONNRESET) { // reset if a busy machine has not read the text in time
			t.Errorf("client that sends %s: %v, want the connection closed", what, err)
		}
		if len(all) > 0 {
			t.Errorf("client that sends %s arrived at a half: %v", what, <-all)
		}
		// The limit applies only until the protocol is known. The server bounds the time after that.
		late := dial(t, l.Addr().String())
		if _, err := io.WriteString(late, "G"); err != nil {
			t.Fatal(err)
		}
		_ = closed(dial(t, l.Addr().String())) // waits for the limit, which closes this silent client
		if _, err := io.WriteString(late, "ET"); err != nil {
			t.Fatal(err)
		}
		if err := late.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, "GET", all); got.text != "GET" || got.err != nil {
			t.Errorf("a slow GET arrived as %q, %v", got.text, got.err)
		}
		for _, l := range []interface{ Close() error }{p, p.HTTP(), p.GRPC()} {
			_ = l.Close() // the test is over
		}
	}
}

var errAccept = errors.New("out of order")

// broken is a listener whose Accept fails.
type broken struct {
	net.Listener
	errs chan error
}

func (b broken) Accept() (net.Conn, error) { return nil, <-b.errs }

type temporary struct{ error }

func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }

func TestAcceptFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := broken{l, make(chan error, 3)}
	b.errs <- temporary{errors.New("too many open files")}
	b.errs <- temporary{errors.New("too many open files")}
	b.errs <- errAccept
	p := connmux.Split(b, nil)
	for range 2 { // the error stays
		for _, half := range []net.Listener{p.HTTP(), p.GRPC()} {
			if c, err := half.Accept(); !errors.Is(err, errAccept) {
				t.Errorf("Accept = %v, %v, want %v", c, err, errAccept)
			}
		}
	}
	if p.HTTP().Addr() != l.Addr() || p.GRPC().Addr() != l.Addr() {
		t.Error("the halves have another address than the listener")
	}
}
