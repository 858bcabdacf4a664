package lateread_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/lateread"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (here *lateread.Conn, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); there.Close() })
	return lateread.New(c), there
}

// past is a deadline that this process notices late: it got no CPU when the deadline passed.
func past() time.Time { return time.Now().Add(-20 * time.Millisecond) }

// TestReplyThatHasArrived checks that bytes are read although the deadline has passed.
func TestReplyThatHasArrived(t *testing.T) {
	t.Parallel()
	for what, late := range map[string]time.Duration{"noticed late": 20 * time.Millisecond, "noticed in time": 0} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			here, there := pair(t)
			if _, err := there.Write([]byte("reply")); err != nil {
				t.Fatal(err)
			}
			arrived(t, here)
			for range 5 { // one byte each
				if err := here.SetReadDeadline(time.Now().Add(-late)); err != nil {
					t.Fatal(err)
				}
				var b [1]byte
				if n, err := here.Read(b[:]); n != 1 || err != nil {
					t.Errorf("Read = %d, %v, want a byte", n, err)
				}
			}
		})
	}
}

// arrived waits until this end has bytes to read.
func arrived(t *testing.T, c *lateread.Conn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool { return hasBytes(fd) }); err != nil {
		t.Fatal(err)
	}
}

// TestReplyAfterADelay checks that a server gets time to answer if the deadline was noticed late: the request was sent late, too.
func TestReplyAfterADelay(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	go func() {
		var b [1]byte
		if _, err := io.ReadFull(there, b[:]); err == nil {
			_, _ = there.Write(b[:])
		}
	}()
	if err := here.SetDeadline(past()); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the other end may be starved, too
		if _, err := here.Write([]byte("x")); err != nil {
			t.Fatalf("Write = %v, want the request sent although the deadline has passed", err)
		}
		var b [1]byte
		if n, err := here.Read(b[:]); n == 1 && err == nil {
			return
		}
		if err := here.SetDeadline(past()); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("Read never got the reply")
}

// hung is a connection to a server that does not answer. It keeps the deadlines that it gets.
type hung struct {
	net.Conn
	deadlines []time.Time
}

func (*hung) Write(b []byte) (int, error) { return len(b), nil }
func (*hung) Read([]byte) (int, error)    { return 0, os.ErrDeadlineExceeded }

func (h *hung) SetReadDeadline(t time.Time) error {
	h.deadlines = append(h.deadlines, t)
	return nil
}

// TestLateRequest checks that a server has time to answer a request that was sent shortly before the deadline.
func TestLateRequest(t *testing.T) {
	t.Parallel()
	server := &hung{}
	c, sent := lateread.New(server), time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v, want a timeout", n, err)
	}
	if len(server.deadlines) < 2 || server.deadlines[1].Sub(sent) < lateread.Again {
		t.Errorf("the deadlines were %v, and the request was sent after %v; want %v for the server", server.deadlines, sent, lateread.Again)
	}
}

// TestNoReply checks that a server that does not answer is an error, however late that is noticed.
func TestNoReply(t *testing.T) {
	t.Parallel()
	for what, deadline := range map[string]time.Time{
		"noticed in time": time.Now().Add(10 * time.Millisecond), "noticed late": past(), "to end the call": time.Unix(1, 0),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			here, _ := pair(t)
			if err := here.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			if n, err := here.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read = %d, %v, want a timeout", n, err)
			}
		})
	}
}

// TestEndedCall checks that a deadline in the far past ends a call also if bytes are there, as its owner wants.
func TestEndedCall(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	if _, err := there.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	arrived(t, here)
	if err := here.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := here.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %d, %v, want a timeout", n, err)
	}
	if n, err := here.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %d, %v, want a timeout", n, err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	_ = there.Close()
	if err := here.SetDeadline(past()); err != nil {
		t.Fatal(err)
	}
	for range 100 { // the end may arrive late
		_, err := here.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) {
			return
		}
		_ = here.SetDeadline(past())
	}
	t.Error("Read never returns the end of the connection")
}
