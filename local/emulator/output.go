package emulator

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

const (
	logLimit  = 4 << 10  // what the Invoke API returns of a function's log
	lineLimit = 64 << 10 // a longer line is broken
)

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if n := len(*t) - logLimit; n > 0 {
		*t = append((*t)[:0], (*t)[n:]...)
	}
	return len(b), nil
}

// lines writes whole lines of many functions to one place.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lines) write(prefix string, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.to.Write(append([]byte(prefix+" | "), line...)) // whoever reads it has gone if this fails
}

// capture reads what a process writes to its stdout and stderr.
type capture struct {
	from   *os.File
	conn   syscall.RawConn
	to     *lines
	prefix string

	mu   sync.Mutex // held while bytes are on the way from the pipe to log
	line []byte     // begun, and not yet ended
	log  tail
}

// newCapture returns the end of the pipe that the process gets; the caller closes it once the process has it. Somebody has
// to follow.
func newCapture(prefix string, to *lines) (*capture, *os.File, error) {
	from, end, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	conn, err := from.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, from.Close(), end.Close())
	}
	c := &capture{from: from, conn: conn, to: to, prefix: prefix}
	return c, end, nil
}

// follow ends with the pipe.
func (c *capture) follow() {
	_ = c.conn.Read(func(fd uintptr) (done bool) { return !c.take(fd) })
}

// take reads what is there, and reports whether more may come.
func (c *capture) take(fd uintptr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var buffer [4 << 10]byte
	for {
		n, err := syscall.Read(int(fd), buffer[:])
		switch {
		case n > 0:
			c.add(buffer[:n])
		case errors.Is(err, syscall.EINTR):
		default:
			return errors.Is(err, syscall.EAGAIN)
		}
	}
}

func (c *capture) add(b []byte) {
	_, _ = c.log.Write(b) // never fails
	c.line = append(c.line, b...)
	for {
		end := bytes.IndexByte(c.line, '\n')
		if end < 0 && len(c.line) > lineLimit {
			c.line = append(c.line, '\n')
			end = len(c.line) - 1
		}
		if end < 0 {
			return
		}
		c.to.write(c.prefix, c.line[:end+1])
		c.line = c.line[end+1:]
	}
}

// begin forgets what earlier invocations wrote.
func (c *capture) begin() {
	c.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = nil
}

// end returns the log of the invocation, with all that the process has written until now.
func (c *capture) end() tail {
	c.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.log)
}

// drain reads what follow has not come to yet. It takes the file past its lock, which a waiting read holds.
func (c *capture) drain() { _ = c.conn.Control(func(fd uintptr) { c.take(fd) }) }

// close reads what is left. Others that hold the pipe, children of the process say, are not heard any more.
func (c *capture) close() {
	c.drain()
	_ = c.from.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) > 0 {
		c.to.write(c.prefix, append(c.line, '\n'))
		c.line = nil
	}
}
