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

// TestHTTP2UnreadBody sends requests that are refused without their body, and the body a little later, as curl does. The answer
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
		time.Sleep(100 * time.Millisecond) // the answer comes before the body
		f = http2.NewFramer(c, c)
		if err := f.WriteData(1, true, []byte("x")); err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("%s: %v, want an answer", path, err)
			}
			if _, reset := frame.(*http2.RSTStreamFrame); reset {
				t.Fatalf("%s: the stream is reset", path)
			}
			ended = frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream)
		}
		_ = f.WritePing(false, [8]byte{})
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("%s: %v, want an answer to the ping", path, err)
			}
			if _, reset := frame.(*http2.RSTStreamFrame); reset {
				t.Fatalf("%s: the stream is reset after the answer", path)
			}
			if ping, is := frame.(*http2.PingFrame); is && ping.IsAck() {
				break
			}
		}
	}
}
