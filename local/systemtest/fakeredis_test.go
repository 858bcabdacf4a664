package systemtest_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
)

// redisRelay is a proxy between a program and Redis. It parses commands and replies, so it can send replies that a real Redis
// does not send.
type redisRelay struct {
	listener net.Listener
	target   string
	rule     atomic.Pointer[redisRule]
	welcome  atomic.Pointer[string] // sent to a new connection, which is then closed
	bytewise atomic.Bool            // each byte is sent separately

	mu    sync.Mutex
	seen  []string
	conns map[net.Conn]struct{}
}

// redisRule answers the command of that name (see redisCommandName). ask returns the reply of Redis; a rule need not call it.
// hangUp closes the connection after the reply.
type redisRule func(name string, ask func() []byte) (reply []byte, hangUp bool)

// startRedisRelay starts a relay that ends with the test.
func startRedisRelay(t testing.TB, target string) *redisRelay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisRelay{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.drop()
		done.Wait()
	})
	return r
}

func (r *redisRelay) url() string { return "redis://" + r.listener.Addr().String() }

// open starts a program that reaches Redis through the relay.
func (r *redisRelay) open(t testing.TB, e *env, changes ...func(*app.Options)) *app.Program {
	t.Helper()
	return e.Open(t, append(changes, func(c *app.Options) { c.RedisURL = r.url() })...)
}

// play answers commands with the rule. nil ends that.
func (r *redisRelay) play(rule redisRule) {
	if rule == nil {
		r.rule.Store(nil)
		return
	}
	r.rule.Store(&rule)
}

// commands returns the names of the commands since the last call.
func (r *redisRelay) commands() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// drop closes all connections.
func (r *redisRelay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

func (r *redisRelay) serve(client net.Conn) {
	defer client.Close()
	if w := r.welcome.Load(); w != nil {
		_, _ = io.WriteString(client, *w)
		return
	}
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close()
	r.mu.Lock()
	r.conns[client] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.conns, client)
		r.mu.Unlock()
	}()
	commands, replies := bufio.NewReader(client), bufio.NewReader(server)
	for {
		raw, words, err := readRESP(commands)
		if err != nil || !r.answer(client, server, replies, raw, words) {
			return
		}
	}
}

// answer returns false if the connection must be closed.
func (r *redisRelay) answer(client, server net.Conn, replies *bufio.Reader, raw []byte, words []string) bool {
	name := redisCommandName(words)
	r.mu.Lock()
	r.seen = append(r.seen, name)
	r.mu.Unlock()
	alive := true
	ask := func() []byte {
		_, err := server.Write(raw)
		reply, _, readErr := readRESP(replies)
		alive = err == nil && readErr == nil
		return reply
	}
	var reply []byte
	var hangUp bool
	if rule := r.rule.Load(); rule != nil {
		reply, hangUp = (*rule)(name, ask)
	} else {
		reply = ask()
	}
	return r.send(client, reply) == nil && alive && !hangUp
}

func (r *redisRelay) send(client net.Conn, reply []byte) error {
	if !r.bytewise.Load() {
		_, err := client.Write(reply)
		return err
	}
	for i := range reply {
		if _, err := client.Write(reply[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// redisCommandName returns the command in capitals. The number of its arguments identifies a script of the cache, whose name is
// followed by EVAL if its text was sent.
func redisCommandName(words []string) string {
	name := strings.ToUpper(words[0])
	if name != "EVALSHA" && name != "EVAL" || len(words) < 3 {
		return name
	}
	keys, err := strconv.Atoi(words[2])
	script := map[int]string{0: "now", 1: "delete", 3: "begin", 5: "lease", 6: "fill", 10: "apply"}[len(words)-3-keys]
	if err != nil || script == "" {
		return name
	}
	if name == "EVAL" {
		return script + " EVAL"
	}
	return script
}

var errNotRESP = errors.New("not RESP2")

// readRESP reads one message. It returns its bytes and the strings in it.
func readRESP(r *bufio.Reader) (raw []byte, texts []string, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil || len(line) < 3 {
		return line, nil, errors.Join(err, errNotRESP)
	}
	n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:]))) // unused for an error or a status
	switch raw = line; line[0] {
	case '+', '-', ':':
		return raw, []string{string(bytes.TrimSpace(line[1:]))}, nil
	case '$':
		if n < 0 {
			return raw, []string{""}, nil
		}
		data := make([]byte, n+2)
		_, err := io.ReadFull(r, data)
		return append(raw, data...), []string{string(data[:n])}, err
	case '*':
		for range n {
			part, more, err := readRESP(r)
			raw, texts = append(raw, part...), append(texts, more...)
			if err != nil {
				return raw, texts, err
			}
		}
		return raw, texts, nil
	}
	return raw, nil, fmt.Errorf("%q: %w", line, errNotRESP)
}
