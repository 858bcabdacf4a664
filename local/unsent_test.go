package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestUnsent checks that an answer that its client does not take is cut off when there are too many, by HTTP/1 and by HTTP/2. Otherwise
// clients that read nothing would pin memory for 10 s each.
func TestUnsent(t *testing.T) {
	t.Parallel()
	const size = 16 << 20 // more than the buffers of two sockets
	for name, ask := range map[string]func(*testing.T, string) net.Conn{"HTTP/1": askHTTP1, "HTTP/2": askHTTP2} {
		u := &unsent{max: size + size/2}
		ended := make(chan error, 2)
		s := serveHTTP2(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			done := u.begin(w, size)
			_, err := w.Write(make([]byte, size))
			done()
			ended <- err
		})})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Serve(l) }() // ends with Close
		t.Cleanup(func() { s.Close() })
		ask(t, l.Addr().String()) // reads nothing
		eventually(t, "an answer", func() bool { return u.waiting() == size })
		second := ask(t, l.Addr().String())
		if err := <-ended; err == nil {
			t.Errorf("%s: the first answer was written, want it cut off", name)
		}
		eventually(t, "the second answer", func() bool { return u.waiting() == size })
		if n := u.cut.Load(); n != 1 {
			t.Errorf("%s: %d answers were cut off, want 1", name, n)
		}
		second.Close()
		<-ended
		eventually(t, "no answer", func() bool { return u.waiting() == 0 })
	}
}

// waiting returns the number of bytes.
func (u *unsent) waiting() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.bytes
}

func askHTTP1(t *testing.T, addr string) net.Conn {
	t.Helper()
	return dialAndSend(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
}

// askHTTP2 lets the server send nothing of the answer.
func askHTTP2(t *testing.T, addr string) net.Conn {
	t.Helper()
	var b, block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // a buffer's does not fail
	}
	f := http2.NewFramer(&b, nil)
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	return dialAndSend(t, addr, http2.ClientPreface+b.String())
}

func dialAndSend(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(c, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return c
}
