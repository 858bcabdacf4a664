package connlimit_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/connlimit"
)

// patience bounds the wait for an event that comes immediately or never.
const patience = time.Minute

// pair is a connection as both sides see it.
type pair struct{ client, server net.Conn }

func listen(t *testing.T, limit, perAddress int) *connlimit.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return connlimit.NewWith(l, limit, perAddress)
}

// connect connects from an address of this machine.
func connect(t *testing.T, l *connlimit.Listener, from string) pair {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return pair{client, server}
}

// speak makes the client the one that was heard last.
func (p pair) speak(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.client, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.server, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// wantClosed checks that the server has closed the connection.
func (p pair) wantClosed(t *testing.T, what string) {
	t.Helper()
	if n, err := p.client.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("%s is open, want it closed", what)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("%s is open after %s, want it closed", what, patience)
	}
}

// At the limit of all connections the one that was silent for longest is closed, and the new one is served.
func TestFull(t *testing.T) {
	t.Parallel()
	l := listen(t, 3, 3)
	first, second, third := connect(t, l, "127.0.0.1"), connect(t, l, "127.0.0.2"), connect(t, l, "127.0.0.3")
	first.speak(t)
	fourth := connect(t, l, "127.0.0.4")
	second.wantClosed(t, "the connection that was silent for longest")
	for _, p := range []pair{first, third, fourth} {
		p.speak(t)
	}
	if got, want := l.Closed(), (connlimit.Closed{Full: 1}); got != want || l.Open() != 3 {
		t.Errorf("Closed = %+v, Open = %d; want %+v, 3", got, l.Open(), want)
	}
}

// One address has a limit of its own. Others keep their connections.
func TestAddress(t *testing.T) {
	t.Parallel()
	l := listen(t, 10, 2)
	other := connect(t, l, "127.0.0.2")
	first, second := connect(t, l, "127.0.0.1"), connect(t, l, "127.0.0.1")
	third := connect(t, l, "127.0.0.1")
	first.wantClosed(t, "the first of an address with two")
	for _, p := range []pair{other, second, third} {
		p.speak(t)
	}
	if got, want := l.Closed(), (connlimit.Closed{Address: 1}); got != want || l.Open() != 3 {
		t.Errorf("Closed = %+v, Open = %d; want %+v, 3", got, l.Open(), want)
	}
}

// A connection that is closed counts no longer, however often it is closed.
func TestLeave(t *testing.T) {
	t.Parallel()
	l := listen(t, 2, 2)
	stays := connect(t, l, "127.0.0.1")
	for range 5 {
		p := connect(t, l, "127.0.0.1")
		for range 2 {
			_ = p.server.Close()
		}
	}
	stays.speak(t)
	if got := l.Closed(); got != (connlimit.Closed{}) || l.Open() != 1 {
		t.Errorf("Closed = %+v, Open = %d; want none, 1", got, l.Open())
	}
}

// net/http closes its side of a connection and still reads.
func TestCloseWrite(t *testing.T) {
	t.Parallel()
	p := connect(t, listen(t, 2, 2), "127.0.0.1")
	if err := p.server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.wantClosed(t, "the server's side")
	p.speak(t)
}

func TestMaxFor(t *testing.T) {
	t.Parallel()
	for files, want := range map[uint64]int{0: 16384, 1 << 20: 16384, 16640: 16384, 1024: 768, 600: 344, 256: 128, 1: 2, ^uint64(0): 16384} {
		if got := connlimit.MaxFor(files); got != want {
			t.Errorf("maxFor(%d) = %d, want %d", files, got, want)
		}
	}
}
