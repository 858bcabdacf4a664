package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What is counted on the wire. Commands to Redis are also counted by name.
const (
	statements     = "statements" // BEGIN would count as one
	syncStatements = "sync statements"
	syncScripts    = "sync scripts"
	scripts        = "scripts" // leases and fills
	deletions      = "deletions"
	pings          = "pings"
)

// wire is a proxy between the server and PostgreSQL or Redis that counts what the server sends.
type wire struct {
	net.Listener
	target string
	parse  func(w *wire, r io.Reader) error

	mu     sync.Mutex
	counts map[string]int
	broken error
}

func newWire(target string, parse func(*wire, io.Reader) error) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{Listener: l, target: target, parse: parse, counts: map[string]int{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(c)
		}
	}()
	return w, nil
}

func (w *wire) pass(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer s.Close()
	go io.Copy(c, s) // the other direction ends it
	seen, see := io.Pipe()
	defer see.Close()
	go func() {
		if err := w.parse(w, seen); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			w.mu.Lock()
			w.broken = err
			w.mu.Unlock()
		}
		_, _ = io.Copy(io.Discard, seen)
	}()
	_, _ = io.Copy(s, io.TeeReader(c, see))
}

func (w *wire) count(what string) {
	w.mu.Lock()
	w.counts[what]++
	w.mu.Unlock()
}

// take returns the counts since the last take.
func (w *wire) take() (map[string]int, error) {
	time.Sleep(50 * time.Millisecond) // the parser may lag behind
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := maps.Clone(w.counts)
	clear(w.counts)
	return taken, w.broken
}

// parsePostgres counts executions: simple queries, and binds of prepared statements.
func parsePostgres(w *wire, r io.Reader) error {
	b := pgproto3.NewBackend(r, io.Discard)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return err
	}
	prepared := map[string]string{}
	for {
		m, err := b.Receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.Parse:
			prepared[m.Name] = m.Query
		case *pgproto3.Bind:
			w.count(statementKind(prepared[m.PreparedStatement]))
		case *pgproto3.Query:
			w.count(statementKind(m.String))
		}
	}
}

func statementKind(sql string) string {
	switch {
	case strings.Contains(sql, "game.cache_change"):
		return syncStatements
	case sql == ";" || strings.HasPrefix(sql, "--"):
		return pings
	}
	return statements
}

// parseRedis counts commands by name, and scripts by purpose.
func parseRedis(w *wire, r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		n, err := readLength(in, '*')
		if err != nil {
			return err
		}
		args := make([]string, n)
		for i := range args {
			size, err := readLength(in, '$')
			if err != nil {
				return err
			}
			text := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(in, text); err != nil {
				return err
			}
			args[i] = string(text[:size])
		}
		name := strings.ToUpper(args[0])
		if strings.HasPrefix(name, "EVAL") && len(args) > 3 {
			switch {
			case strings.HasPrefix(args[3], "wm:"):
				name = syncScripts
			case args[2] != strconv.Itoa(len(args)-4):
				name = scripts
			case name == "EVALSHA": // one argument follows the keys; EVAL would be the same deletion again
				name = deletions
			}
		}
		w.count(name)
	}
}

func readLength(in *bufio.Reader, mark byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != mark {
		return 0, fmt.Errorf("%q on the wire to Redis", line)
	}
	return strconv.Atoi(strings.TrimRight(line[1:], "\r\n"))
}
