package runtime

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

const (
	logLimit  = 4 << 10  // bytes of a function's log that the Invoke API returns
	lineLimit = 64 << 10 // bytes; a longer line is broken
)

// tail keeps the last logLimit bytes written to it.
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
	mu   sync.Mutex
	to   io.Writer
	each func(function string, line []byte) // see Config.Line
}

func (l *lines) write(prefix string, line []byte) {
	if l.each != nil {
		l.each(prefix, line)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.to.Write(append([]byte(prefix+" | "), line...)) // fails only if the reader has gone
}

// capture reads what a process writes to its stdout and stderr.
type capture struct {
	from   *os.File
	conn   syscall.RawConn
	to     *lines
	prefix string

	mu   sync.Mutex // held while bytes are on the way from the pipe to log
	line []byte     // an incomplete line
	log  tail
}

// newCapture also returns the end of the pipe for the process; the caller closes it after the start, and calls follow.
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

// follow reads until the pipe ends.
func (c *capture) follow() {
	_ = c.conn.Read(func(fd uintptr) (done bool) { return !c.take(fd) })
}

// take reads what the pipe holds, and reports whether more may come.
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

// begin discards the log of earlier invocations.
func (c *capture) begin() {
	c.catchUp()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = nil
}

// end returns the log of the invocation, including everything that the process has written until now.
func (c *capture) end() tail {
	c.catchUp()
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.log)
}

// catchUp reads what follow has not read yet. It uses Control because follow's waiting Read holds the file's read lock.
func (c *capture) catchUp() { _ = c.conn.Control(func(fd uintptr) { c.take(fd) }) }

// close reads the rest. Output of other holders of the pipe, for example children of the process, is lost from now on.
func (c *capture) close() {
	c.catchUp()
	_ = c.from.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) > 0 {
		c.to.write(c.prefix, append(c.line, '\n'))
		c.line = nil
	}
}
