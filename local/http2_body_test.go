package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestHTTP2UnreadBody sends requests that are refused without their body, and the body after the beginning of the answer, as curl may. The answer
// comes whole and the stream is not reset: some clients report a reset in place of the answer.
func TestHTTP2UnreadBody(t *testing.T) {
	t.Parallel()
	p := start(t, outside(testenv.New(t, "plugins", "miniredis")))
	for _, path := range []string{"/nope", "/twirp/osirose.database.v1.UserService/GetUser"} {
		var block, sent bytes.Buffer
		e := hpack.NewEncoder(&block)
		for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}, {"content-type", "text/plain"}, {"content-length", "1"}} {
			if err := e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
				t.Fatal(err)
			}
		}
		f := http2.NewFramer(&sent, nil)
		_ = f.WriteSettings()
		_ = f.WriteSettingsAck() // of connmux's
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		c := dialAndSend(t, strings.TrimPrefix(p.url, "http://"), http2.ClientPreface+sent.String())
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		f = http2.NewFramer(c, c)
		readUntil := func(what string, is func(http2.Frame) bool) {
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					t.Fatalf("%s: %v, want %s", path, err, what)
				}
				if _, reset := frame.(*http2.RSTStreamFrame); reset {
					t.Fatalf("%s: the stream is reset before %s", path, what)
				}
				if is(frame) {
					return
				}
			}
		}
		readUntil("the answer's headers", func(frame http2.Frame) bool { return frame.Header().Type == http2.FrameHeaders })
		if err := f.WriteData(1, true, []byte("x")); err != nil {
			t.Fatal(err)
		}
		readUntil("the answer's end", func(frame http2.Frame) bool {
			return frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream)
		})
		_ = f.WritePing(false, [8]byte{})
		readUntil("an answer to the ping", func(frame http2.Frame) bool { ping, is := frame.(*http2.PingFrame); return is && ping.IsAck() })
	}
}
