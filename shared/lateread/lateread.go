// Package lateread makes connections that use what has arrived, however late this process reads it.
//
// A deadline of a connection bounds how long the other side may take. But the clock also runs while this process gets no CPU: it is
// starved. A reply that is read late is then taken for a reply that did not come, and a server that is well for one that is down. So
// after a deadline has passed, a connection of this package looks once more. If the deadline was noticed late, the other side gets
// another while to answer, because this process may have sent its request late, too. It has that while in any case after the last write.
//
// Put it below TLS, which reads and writes more than the program does.
package lateread

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// Starved is how late a deadline must be noticed for this process to be starved.
	Starved = 5 * time.Millisecond
	// Again is the time that the other side gets if this process was starved, and the least it has after a write.
	Again = 50 * time.Millisecond

	// tries is how often it gets it.
	tries = 4
	// look is the time of the second look. The bytes are there or not.
	look = time.Millisecond
	// A deadline that passed longer ago than tooLate, the time of a whole request, ends the call.
	tooLate = time.Second
)

// Dialer makes connections.
type Dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// Dial returns a dialer whose connections read late.
func Dial(dial Dialer) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return New(c), nil
	}
}

// Conn is a connection that reads late. It has one reader and one writer at a time.
type Conn struct {
	net.Conn
	reading, writing deadline
	written          atomic.Int64 // when the last write ended, in unix ns
}

// New returns a connection over c.
func New(c net.Conn) *Conn { return &Conn{Conn: c} }

// deadline is in unix ns; 0: none. Another goroutine may change it, to end a read.
type deadline struct{ at atomic.Int64 }

func (d *deadline) set(t time.Time) {
	if t.IsZero() {
		d.at.Store(0)
		return
	}
	d.at.Store(t.UnixNano())
}

// extend returns the next deadline after one that has passed. If last is set, it is the last one. written is when the last write ended.
func (d *deadline) extend(now, written time.Time) (next time.Time, last, ok bool) {
	at := d.at.Load()
	late := now.Sub(time.Unix(0, at))
	switch {
	case at == 0, late < 0, late > tooLate: // it was changed, or set to long ago to end the call
		return time.Time{}, true, false
	case late >= Starved:
		return now.Add(Again), false, true
	case now.Sub(written) < Again:
		return written.Add(Again), false, true
	}
	return now.Add(look), true, true
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.reading.set(t)
	c.writing.set(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.reading.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writing.set(t)
	return c.Conn.SetWriteDeadline(t)
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for range tries {
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		next, last, ok := c.reading.extend(time.Now(), time.Unix(0, c.written.Load()))
		if !ok || c.SetReadDeadline(next) != nil {
			break
		}
		if n, err = c.Conn.Read(b); last {
			break
		}
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	for range tries {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		next, last, ok := c.writing.extend(time.Now(), time.Time{})
		if !ok || c.SetWriteDeadline(next) != nil {
			break
		}
		var more int
		more, err = c.Conn.Write(b[n:])
		if n += more; last {
			break
		}
	}
	c.written.Store(time.Now().UnixNano())
	return n, err
}

// SyscallConn implements syscall.Conn. go-redis looks there whether an idle connection was closed.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}
