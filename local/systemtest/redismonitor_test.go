package systemtest_test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// monitor collects the commands that a Redis gets, those in scripts, too.
type monitor struct {
	mu       sync.Mutex
	commands map[string][]any // one of each name and first keys
}

func watchCommands(t *testing.T, address string) *monitor {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(c)
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatalf("MONITOR: %q, %v", ok, err)
	}
	m := &monitor{commands: map[string][]any{}}
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			m.add(line)
		}
	}()
	return m
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// add takes a line such as +1700000000.123 [0 lua] "TIME".
func (m *monitor) add(line string) {
	var command []any
	for _, q := range quoted.FindAllString(line, -1) {
		arg, err := strconv.Unquote(q)
		if err != nil {
			arg = q
		}
		command = append(command, arg)
	}
	if len(command) == 0 {
		return
	}
	of := strings.ToLower(command[0].(string))
	if len(command) > 1 {
		of = fmt.Sprintf("%s %.6s", of, command[1])
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands[of] = command
}

func (m *monitor) has(of string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commands[of] != nil
}

// seen returns the commands without those of the test, and without HELLO, which Redis refuses to no user.
func (m *monitor) seen() (all [][]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for of, command := range m.commands {
		if name, _, _ := strings.Cut(of, " "); !slices.Contains([]string{"rpush", "ping", "echo", "acl", "hello"}, name) {
			all = append(all, command)
		}
	}
	return all
}
