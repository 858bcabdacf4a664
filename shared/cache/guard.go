package cache

import (
	"context"
	"errors"
	"net"
	"syscall"
)

const (
	// maxBulk is larger than any string that the cache reads, and maxArray than any array. go-redis allocates what a reply
	// announces before it arrives, and garbage may announce more than there is memory.
	maxBulk  = 16 << 20
	maxArray = 1 << 16
	maxLine  = 64 << 10
)

// ErrGarbage is the error of a connection on which a server has sent what is no reply of Redis.
var ErrGarbage = errors.New("redis sent bytes that are no reply")

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// guarded returns a dialer of connections on which garbage is an error.
func guarded(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		g := &guard{Conn: c}
		if s, ok := c.(syscall.Conn); ok {
			return &systemGuard{g, s}, nil
		}
		return g, nil
	}
}

// guard checks the frames of RESP2 as they arrive.
type guard struct {
	net.Conn
	skip   int64 // bytes of a string and its line end that have not arrived yet
	kind   byte  // of the current line; 0: between lines
	number int64 // of that line, so far
	minus  bool
	length int // of that line, so far
	bad    bool
}

// systemGuard lets go-redis check whether an idle connection was closed.
type systemGuard struct {
	*guard
	syscall.Conn
}

// Read implements net.Conn.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 0 && !g.follow(b[:n]) {
		return 0, ErrGarbage
	}
	return n, err
}

// follow returns false from the first byte that cannot be part of a reply.
func (g *guard) follow(b []byte) bool {
	for i := 0; i < len(b) && !g.bad; {
		switch {
		case g.skip > 2:
			n := min(g.skip-2, int64(len(b)-i))
			g.skip -= n
			i += int(n)
			continue
		case g.skip > 0:
			g.bad = b[i] != "\n\r"[g.skip-1]
			g.skip--
		default:
			g.next(b[i])
		}
		i++
	}
	return !g.bad
}

// next reads a byte of a line.
func (g *guard) next(c byte) {
	switch {
	case g.kind == 0:
		g.kind, g.number, g.minus, g.length = c, 0, false, 0
		g.bad = c != '$' && c != '*' && c != ':' && c != '+' && c != '-'
		return
	case c == '\n':
		g.end()
		return
	case g.kind == '$' || g.kind == '*':
		g.digit(c)
	}
	g.length++
	g.bad = g.bad || g.length > maxLine
}

func (g *guard) digit(c byte) {
	switch {
	case c >= '0' && c <= '9':
		g.number = g.number*10 + int64(c-'0')
		g.bad = g.number > maxBulk || g.kind == '*' && g.number > maxArray
	case c == '-' && g.length == 0:
		g.minus = true
	case c != '\r':
		g.bad = true
	}
}

// end handles the end of a line. Only nil has a negative length.
func (g *guard) end() {
	if g.minus && g.number != 1 && g.kind != ':' {
		g.bad = true
	}
	if g.kind == '$' && !g.minus {
		g.skip = g.number + 2
	}
	g.kind = 0
}
