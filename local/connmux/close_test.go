package connmux_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"

	"github.com/osirose-new/database-service/local/connmux"
)

// A closed port refuses new connections. It still returns older ones, even if they show their protocol later.
func TestClose(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	first := dial(t, addr)
	quiet := dial(t, addr)
	if _, err := io.WriteString(quiet, "PR"); err != nil {
		t.Fatal(err)
	}
	// Connections are accepted in order: after this one was returned, the port has accepted the others too.
	if _, err := io.WriteString(first, "GET"); err != nil {
		t.Fatal(err)
	}
	last := dial(t, addr)
	if _, err := io.WriteString(last, "GET"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := p.HTTP().Accept(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the closed port accepts a new connection, want it refused")
	}
	if _, err := io.WriteString(quiet, connmux.Preface[2:]+request(t, "application/grpc")); err != nil {
		t.Fatal(err)
	}
	c, err := p.GRPC().Accept()
	if err != nil {
		t.Fatalf("Accept after Close = %v, want the open connection", err)
	}
	head := make([]byte, len(connmux.Preface))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != connmux.Preface {
		t.Errorf("read %q, %v, want the preface", head, err)
	}
	c.Close()
}

// If the server of one protocol has gone, its clients get GOAWAY. Clients of the other are served.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	waiting := dial(t, addr) // no server accepts it
	if _, err := io.WriteString(waiting, connmux.Preface); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second Close is allowed
		if err := p.GRPC().Close(); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := p.GRPC().Accept(); !errors.Is(err, net.ErrClosed) {
		// Accept may return it although the half is closed: both cases of the select are ready.
		if err != nil {
			t.Errorf("Accept of a closed half = %v, %v, want net.ErrClosed", c, err)
		} else {
			c.Close()
		}
	}
	wantGoAway(t, waiting)
	later := dial(t, addr)
	if _, err := io.WriteString(later, connmux.Preface); err != nil {
		t.Fatal(err)
	}
	wantGoAway(t, later)
	if _, err := io.WriteString(dial(t, addr), "GET"); err != nil {
		t.Fatal(err)
	}
	if c, err := p.HTTP().Accept(); err != nil {
		t.Errorf("Accept of the other half = %v", err)
	} else {
		c.Close()
	}
}

// wantGoAway reads SETTINGS, a GOAWAY that no request was processed, and the end.
func wantGoAway(t *testing.T, c net.Conn) {
	t.Helper()
	frames := http2.NewFramer(nil, c)
	if f, err := frames.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
		t.Errorf("read %v, %v, want SETTINGS", f, err)
	}
	f, err := frames.ReadFrame()
	if g, ok := f.(*http2.GoAwayFrame); err != nil || !ok || g.LastStreamID != 0 || g.ErrCode != http2.ErrCodeNo {
		t.Errorf("read %v, %v, want GOAWAY without an error", f, err)
	}
	_ = closed(c)
}

// TestCloseWrite checks that a server can close its side and still read. net/http does so if it answers before it has
// read the whole request.
func TestCloseWrite(t *testing.T) {
	t.Parallel()
	p, addr := split(t, nil)
	client := dial(t, addr)
	if _, err := io.WriteString(client, "POST "); err != nil {
		t.Fatal(err)
	}
	c, err := p.HTTP().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("the connection has no CloseWrite")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := closed(client); err != nil {
		t.Errorf("the client reads %v, want the end", err)
	}
	if _, err := io.WriteString(client, "more"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("POST more"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "POST more" {
		t.Errorf("the server reads %q, %v, want all", got, err)
	}
}
