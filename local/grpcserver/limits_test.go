package grpcserver_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/osirose-new/database-service/local/grpcserver"
)

// raw is an HTTP/2 connection on which the test writes each frame itself.
type raw struct {
	*http2.Framer
	conn     net.Conn
	headers  bytes.Buffer
	encoder  *hpack.Encoder
	settings map[http2.SettingID]uint32 // the server's
}

func dialRaw(t *testing.T, d *protocol) *raw {
	t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	r := &raw{Framer: http2.NewFramer(c, c), conn: c, settings: map[http2.SettingID]uint32{}}
	r.encoder = hpack.NewEncoder(&r.headers)
	if err := r.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	_ = r.await(t, func(f http2.Frame) bool {
		s, ok := f.(*http2.SettingsFrame)
		if ok && !s.IsAck() {
			_ = s.ForeachSetting(func(s http2.Setting) error { r.settings[s.ID] = s.Val; return nil })
		}
		return ok && !s.IsAck()
	})
	return r
}

// await reads frames until is returns true.
func (r *raw) await(t *testing.T, is func(http2.Frame) bool) http2.Frame {
	t.Helper()
	for {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		if is(f) {
			return f
		}
	}
}

// open starts a stream and leaves it open.
func (r *raw) open(t *testing.T, id uint32, path string, more ...string) {
	t.Helper()
	if err := r.tryOpen(id, path, more...); err != nil {
		t.Fatal(err)
	}
}

func (r *raw) tryOpen(id uint32, path string, more ...string) error {
	r.headers.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", path, "content-type", "application/grpc"}, more...)
	for i := 0; i < len(fields); i += 2 {
		if err := r.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}); err != nil {
			return err
		}
	}
	const frame = 16 << 10
	block := r.headers.Bytes()
	first := block[:min(frame, len(block))]
	err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; err == nil && len(rest) > 0; {
		part := rest[:min(frame, len(rest))]
		rest = rest[len(part):]
		err = r.WriteContinuation(id, len(rest) == 0, part)
	}
	return err
}

// reflect is a stream without an end.
const reflect = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	r := dialRaw(t, d)
	if got := r.settings[http2.SettingMaxConcurrentStreams]; got != grpcserver.MaxStreams {
		t.Errorf("the server permits %d streams, want %d", got, grpcserver.MaxStreams)
	}
	for i := range uint32(grpcserver.MaxStreams) + 1 {
		r.open(t, 2*i+1, reflect)
	}
	f := r.await(t, func(f http2.Frame) bool { _, ok := f.(*http2.RSTStreamFrame); return ok }).(*http2.RSTStreamFrame)
	if f.StreamID != 2*grpcserver.MaxStreams+1 || f.ErrCode != http2.ErrCodeRefusedStream {
		t.Errorf("stream %d ended with %s, want %d with REFUSED_STREAM", f.StreamID, f.ErrCode, 2*grpcserver.MaxStreams+1)
	}
	// The limit is per connection: another connection is served.
	wantAnswer(t, "GetUser", get(t.Context(), d.conn, ""), codes.OK, "")
	log.next(t)
}

func TestTooLargeHeaders(t *testing.T) {
	t.Parallel()
	d, log := serveFake(t, nothing)
	r := dialRaw(t, d)
	if got := r.settings[http2.SettingMaxHeaderListSize]; got != 64<<10 {
		t.Errorf("the server permits %d bytes of headers, want 64 KiB", got)
	}
	r.open(t, 1, getUser, "x-large", strings.Repeat("~", 64<<10))
	f := r.await(t, func(f http2.Frame) bool { _, ok := f.(*http2.RSTStreamFrame); return ok }).(*http2.RSTStreamFrame)
	if f.StreamID != 1 || f.ErrCode != http2.ErrCodeFrameSize {
		t.Errorf("stream %d ended with %s, want 1 with FRAME_SIZE_ERROR", f.StreamID, f.ErrCode)
	}
	r.open(t, 3, getUser, "x-large", strings.Repeat("~", 60<<10))
	if err := r.WriteData(3, true, []byte(framed(0, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(t, func(f http2.Frame) bool { h, ok := f.(*http2.HeadersFrame); return ok && h.StreamID == 3 })
	wantLine(t, "GetUser", log.next(t), "INFO", "UserService/GetUser", "ok")
}

// The server closes the connection of a client that pings too often. It tolerates two early pings.
func TestPings(t *testing.T) {
	t.Parallel()
	d, _ := serveFake(t, nothing)
	r := dialRaw(t, d)
	ping := func(i int) {
		t.Helper()
		if err := r.WritePing(false, [8]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 { // without a stream; only the second and third are early
		ping(i)
		r.await(t, func(f http2.Frame) bool {
			p, ok := f.(*http2.PingFrame)
			return ok && p.IsAck() && p.Data[0] == byte(i)
		})
	}
	ping(3)
	f := r.await(t, func(f http2.Frame) bool { _, ok := f.(*http2.GoAwayFrame); return ok }).(*http2.GoAwayFrame)
	if got := fmt.Sprint(f.ErrCode, " ", string(f.DebugData())); got != "ENHANCE_YOUR_CALM too_many_pings" {
		t.Errorf("GOAWAY %s, want ENHANCE_YOUR_CALM too_many_pings", got)
	}
	if f, err := r.ReadFrame(); err == nil {
		t.Errorf("after GOAWAY came %v, want the end of the connection", f)
	}
}

// TestPingsOfAnIdleConnection checks an idle game server that pings at the permitted pace.
func TestPingsOfAnIdleConnection(t *testing.T) {
	t.Parallel()
	r := dialRaw(t, serveServer(t, grpcserver.NewPinged(edgeTo(io.Discard), time.Nanosecond)))
	for i := range 20 {
		if err := r.WritePing(false, [8]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		r.await(t, func(f http2.Frame) bool {
			if g, ok := f.(*http2.GoAwayFrame); ok {
				t.Fatalf("after %d pings: GOAWAY %s", i+1, g.ErrCode)
			}
			p, ok := f.(*http2.PingFrame)
			return ok && p.IsAck() && p.Data[0] == byte(i)
		})
	}
}
