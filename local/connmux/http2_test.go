package connmux_test

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/osirose-new/database-service/local/connmux"
)

// TestHTTP2 checks that the first request decides who serves an HTTP/2 connection, and that the server gets every frame except
// the acknowledgement of SETTINGS that it did not send.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	for contentType, want := range map[string]string{
		"application/grpc": "gRPC", "application/grpc+proto": "gRPC", "application/grpc;charset=utf-8": "gRPC", "Application/gRPC": "gRPC",
		"application/grpc-web": "HTTP", "application/grpc-web+proto": "HTTP", "application/protobuf": "HTTP", "application/json": "HTTP", "": "HTTP",
	} {
		asked := request(t, contentType)
		after := strings.Repeat("\x00\x00\x00\x00\x01\x00\x00\x00\x01", 3) // empty DATA
		second := request(t, "application/grpc")
		for what, test := range map[string]struct {
			parts []string
			want  string
		}{
			"acknowledged before the request": {[]string{acknowledgement, asked, after, acknowledgement}, asked + after + acknowledgement},
			"acknowledged later":              {[]string{asked, after, acknowledgement, acknowledgement}, asked + after + acknowledgement},
			"byte by byte":                    {strings.Split(asked+acknowledgement+after, ""), asked + after},
			"and another":                     {[]string{asked, second, acknowledgement}, asked + second},
		} {
			text := strings.Join(test.parts, "")
			send(t, addr, append([]string{connmux.Preface}, test.parts...)...)
			got := wait(t, what, all)
			// After a gRPC request nothing is parsed, and grpc-go ignores the acknowledgement.
			if want == "gRPC" && what != "acknowledged before the request" {
				test.want = text
			}
			if got.half != want || got.text != connmux.Preface+test.want || got.err != nil {
				t.Errorf("%q, %s, arrived at %s as %q, %v; want %s and %q", contentType, what, got.half, got.text, got.err, want, connmux.Preface+test.want)
			}
		}
	}
}

// TestHTTP2Limits checks that a connection without a request, or with broken frames, is gRPC's, and that one whose client does
// not acknowledge SETTINGS is closed.
func TestHTTP2Limits(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for what, text := range map[string]string{
		"no request":         settings + ping,
		"too much":           settings + strings.Repeat(ping, 20_000),
		"broken headers":     settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\xff",
		"a frame of 6 MB":    settings + "\x66\x66\x66\x00\x00\x00\x00\x00\x01",
		"a half of a header": settings + "\x00\x00",
	} {
		send(t, addr, connmux.Preface, text)
		if got := wait(t, what, all); got.half != "gRPC" || got.text != connmux.Preface+text || got.err != nil {
			t.Errorf("%s arrived at %s as %d bytes, %v; want gRPC and all %d", what, got.half, len(got.text), got.err, len(connmux.Preface+text))
		}
	}
	for what, text := range map[string]string{
		"no acknowledgement":          request(t, "application/json"),
		"too much instead of the one": request(t, "application/json") + strings.Repeat(ping, 20_000),
	} {
		_ = closed(send(t, addr, connmux.Preface, text)) // closed or reset
		if len(all) > 0 {
			t.Errorf("%s arrived at %s", what, (<-all).half)
		}
	}
}

// TestFirstSettings checks that clients that wait for the server's SETTINGS get them before their first request.
func TestFirstSettings(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	all := collect(p)
	c := dial(t, addr)
	if _, err := io.WriteString(c, connmux.Preface); err != nil {
		t.Fatal(err)
	}
	f, err := http2.NewFramer(nil, c).ReadFrame()
	if s, ok := f.(*http2.SettingsFrame); err != nil || !ok || s.IsAck() {
		t.Fatalf("read %v, %v, want SETTINGS", f, err)
	}
	if _, err := io.WriteString(c, acknowledgement+request(t, "application/grpc")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := wait(t, "a connection", all); got.half != "gRPC" {
		t.Errorf("arrived at %s, want gRPC", got.half)
	}
}
