package connmux_test

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/osirose-new/database-service/local/connmux"
)

// flood are the frames that cost a server work and a client nothing.
var flood = map[string]func(*http2.Framer) error{
	"RST_STREAM":       func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) },
	"SETTINGS":         func(f *http2.Framer) error { return f.WriteSettings() },
	"PING":             func(f *http2.Framer) error { return f.WritePing(true, [8]byte{}) },
	"PRIORITY":         func(f *http2.Framer) error { return f.WritePriority(1, http2.PriorityParam{Weight: 1}) },
	"WINDOW_UPDATE":    func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 1) },
	"an empty DATA":    func(f *http2.Framer) error { return f.WriteData(1, false, nil) },
	"HEADERS":          func(f *http2.Framer) error { return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1}) },
	"CONTINUATION":     func(f *http2.Framer) error { return f.WriteContinuation(1, false, nil) },
	"an unknown frame": func(f *http2.Framer) error { return f.WriteRawFrame(0x77, 0, 1, []byte("x")) },
}

// frames returns n frames of a kind.
func frames(t testing.TB, n int, write func(*http2.Framer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	for range n {
		if err := write(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// discard reads one connection of p.
func discard(p *connmux.Port) <-chan error {
	ended := make(chan error, 2)
	for _, half := range []net.Listener{p.HTTP(), p.GRPC()} {
		go func() {
			if c, err := half.Accept(); err == nil {
				_, err = io.Copy(io.Discard, c)
				ended <- err
			}
		}()
	}
	return ended
}

// A client that sends more frames than a client needs is sent away (finding A8: a million a second cost a core).
func TestFlood(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/grpc", "application/protobuf"} {
		for what, write := range flood {
			t.Run(what+" on "+contentType, func(t *testing.T) {
				t.Parallel()
				p, addr := split(t, nil)
				ended := discard(p)
				c := dial(t, addr)
				if _, err := io.WriteString(c, connmux.Preface+request(t, contentType)+acknowledgement); err != nil {
					t.Fatal(err)
				}
				many := frames(t, 1000, write)
				for {
					if _, err := c.Write(many); err != nil {
						if e, ok := err.(net.Error); ok && e.Timeout() {
							t.Fatalf("the connection is open after %s, want it closed", patience)
						}
						break
					}
				}
				if err := wait(t, "the end of the connection", ended); err == nil {
					t.Error("the server reads to the end, want an error")
				}
				if n := p.Floods(); n != 1 {
					t.Errorf("Floods = %d, want 1", n)
				}
			})
		}
	}
}

// A client that is only busy is served: thousands of requests at once, with what belongs to them, and much data.
func TestNoFlood(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	text := connmux.Preface + request(t, "application/grpc")
	text += string(frames(t, 4000, func(f *http2.Framer) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("x")}); err != nil {
			return err
		}
		if err := f.WriteData(1, false, []byte("message")); err != nil {
			return err
		}
		if err := f.WriteData(1, true, nil); err != nil {
			return err
		}
		if err := f.WriteWindowUpdate(0, 1); err != nil {
			return err
		}
		return f.WriteWindowUpdate(1, 1)
	}))
	text += string(frames(t, 400, flood["RST_STREAM"]))
	send(t, addr, text)
	if got := wait(t, "a connection", all); got.text != text || got.err != nil || p.Floods() != 0 {
		t.Errorf("%d bytes arrived, %v, Floods = %d; want %d bytes and no flood", len(got.text), got.err, p.Floods(), len(text))
	}
}

// The clients of an address share a rate. What they do not use in one second is not saved for another.
func TestFrameRate(t *testing.T) {
	t.Parallel()
	reset := frames(t, 1, flood["RST_STREAM"])
	now := time.Unix(1e9, 0)
	count := connmux.NewFrameCount()
	for _, pause := range []time.Duration{0, time.Second, time.Hour} {
		now = now.Add(pause)
		permitted := 0
		for count.Useless("192.0.2.1", reset, now) {
			permitted++
		}
		if permitted < 499 || permitted > 501 {
			t.Errorf("after %s %d resets are permitted, want 500", pause, permitted)
		}
	}
	others := 0
	for i := range 250 { // a few share the bucket
		if count.Useless("192.0.2."+strconv.Itoa(i+2), reset, now) {
			others++
		}
	}
	if others < 200 {
		t.Errorf("%d resets of 250 other addresses are permitted, want nearly all", others)
	}
	network := 0
	for i := range 1000 { // of one IPv6 network, which one client can have
		if count.Useless("2001:db8::"+strconv.Itoa(i+1), reset, now) {
			network++
		}
	}
	if network > 501 {
		t.Errorf("%d resets of one IPv6 network are permitted, want 500", network)
	}
}

// Connections that show no protocol cannot use up the memory either, although each may send a lot.
func TestPeekedBytes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := connmux.SplitWithin(l, nil, time.Hour)
	t.Cleanup(func() { p.Close(); p.HTTP().Close(); p.GRPC().Close() })
	arrived := make(chan net.Conn, 1)
	go func() {
		if c, err := p.GRPC().Accept(); err == nil {
			arrived <- c
		}
	}()
	text := connmux.Preface + string(frames(t, 14_000, flood["PING"]))
	for range 150 { // 36 MB
		if _, err := io.WriteString(dial(t, l.Addr().String()), text); err != nil {
			t.Fatal(err)
		}
	}
	_ = wait(t, "a connection that is looked at no longer", arrived).Close()
}

// BenchmarkFrames measures what the count of frames costs for a read with one request.
func BenchmarkFrames(b *testing.B) {
	one := frames(b, 1, func(f *http2.Framer) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 40)}); err != nil {
			return err
		}
		return f.WriteData(1, true, make([]byte, 40))
	})
	count := connmux.NewFrameCount()
	for b.Loop() {
		if n := count.Useful(one); n != 1 {
			b.Fatalf("%d frames, want 1", n)
		}
	}
}
