package testenv

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Counter counts what the program of an Env sends to PostgreSQL and Redis. It reads the frontend messages of all
// connections as one stream, so calls must be made one after another.
type Counter struct {
	mu       sync.Mutex
	rest     []byte            // the start of a message that is not complete yet
	texts    map[string]string // text of each prepared statement, by name
	bound    string            // the statement that Execute runs
	queries  []string
	syncs    int
	commands []string
}

// Count starts counting. It uses PGProxy.OnSend, and must be called before the program's first statement.
func (e *Env) Count(t testing.TB) *Counter {
	t.Helper()
	c := &Counter{texts: map[string]string{}}
	e.PGProxy.OnSend(c.see)
	t.Cleanup(func() { e.PGProxy.OnSend(nil) })
	e.Program.Redis.AddHook(hook{c})
	return c
}

// Reset starts again at zero.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queries, c.syncs, c.commands = nil, 0, nil
}

// Queries returns the executed statements in order, without syncs of the change log and the pool's pings. Each is its own
// transaction unless one of them is a BEGIN.
func (c *Counter) Queries() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.queries...)
}

// Syncs returns how often the cache read the change log. That depends on the time and not on the call.
func (c *Counter) Syncs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.syncs
}

// Commands returns the Redis commands of that name in order, with their arguments, for example "get user:1". An empty name
// means all commands. The cache's deletion of a user is "delete user:1".
func (c *Counter) Commands(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for _, command := range c.commands {
		if name == "" || strings.HasPrefix(command+" ", name+" ") {
			found = append(found, command)
		}
	}
	return found
}

// see reads the next bytes that the program sends to PostgreSQL.
func (c *Counter) see(chunk []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, chunk...)
	for {
		// The first message of a connection has no type, and its length begins with a zero byte.
		header := 1
		if len(c.rest) > 0 && c.rest[0] == 0 {
			header = 0
		}
		if len(c.rest) < header+4 {
			return
		}
		size := header + int(binary.BigEndian.Uint32(c.rest[header:]))
		if len(c.rest) < size {
			return
		}
		if header == 1 {
			c.message(c.rest[0], c.rest[5:size])
		}
		c.rest = c.rest[size:]
	}
}

// message follows https://www.postgresql.org/docs/current/protocol-message-formats.html.
func (c *Counter) message(kind byte, body []byte) {
	text, more := cString(body)
	switch kind {
	case 'P': // Parse: name, text
		c.texts[text], _ = cString(more)
	case 'B': // Bind: portal, name
		c.bound, _ = cString(more)
	case 'E': // Execute
		c.executed(c.texts[c.bound])
	case 'Q':
		c.executed(text)
	}
}

func (c *Counter) executed(sql string) {
	switch {
	case strings.HasPrefix(sql, "-- ping"):
	case strings.Contains(sql, "game.cache_change"):
		c.syncs++
	default:
		c.queries = append(c.queries, sql)
	}
}

func cString(b []byte) (s string, rest []byte) {
	before, after, _ := bytes.Cut(b, []byte{0})
	return string(before), after
}

// CommandText returns a Redis command with its arguments. The cache's script that deletes is "delete" with its keys.
func CommandText(command redis.Cmder) string {
	args := command.Args()
	if before, _ := around(args); before == BeforeDelete {
		args = append([]any{"delete"}, args[3:len(args)-1]...)
	}
	return strings.Trim(fmt.Sprint(args), "[]")
}

// hook records the commands of a Redis client.
type hook struct{ c *Counter }

func (h hook) note(commands ...redis.Cmder) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	for _, command := range commands {
		if before, _ := around(command.Args()); before == BeforeDelete && command.Name() == "eval" {
			continue // "evalsha" came first, for the same deletion
		}
		h.c.commands = append(h.c.commands, CommandText(command))
	}
}

// DialHook implements redis.Hook.
func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		h.note(command)
		return next(ctx, command)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		h.note(commands...)
		return next(ctx, commands)
	}
}
