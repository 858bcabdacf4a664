package app_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestRedisReplies checks what the log says of a Redis that answers each command with one error, in the words of Redis 6 to 8 and
// of Valkey. The sentences stand in testdata/redis.txt.
func TestRedisReplies(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz and log: a Redis that cannot be the cache")
	for _, test := range []struct {
		reply, want string // a part of the sentence
		wrongURL    bool
		to          string // the command that is answered so; empty: all. The others succeed
	}{
		{"WRONGPASS invalid username-password pair or user is disabled.", "refuses the user or the password", true, ""},
		{"NOAUTH Authentication required.", "asks for a password", true, ""},
		{"NOPERM this user has no permissions to run the 'select' command or its subcommand", "lacks +select", false, ""},
		{"NOPERM User game has no permissions to run the 'cluster|slots' command", "lacks +cluster|slots", false, ""},
		{"NOPERM this user has no permissions to access one of the keys used as arguments", "lacks ~wm:*", false, ""},
		{"NOPERM No permissions to access a key", "lacks ~wm:*", false, ""},
		{"NOPERM No permissions to access database", "lacks a right", false, ""},
		{"READONLY You can't write against a read only replica.", "is a replica", true, ""},
		{"ERR Error running script (call to f_0): @user_script:9: @user_script: 9: -READONLY You can't write against a read only replica. ", "is a replica", true, ""},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "is a replica", true, ""},
		{"OOM command not allowed when used memory > 'maxmemory'.", "maxmemory-policy", false, ""},
		{"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.", "save to its disk", false, ""},
		{"NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write", false, ""},
		{"LOADING Redis is loading the dataset in memory", "loading", false, ""},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "SCRIPT KILL", false, ""},
		{"CLUSTERDOWN Hash slot not served", "CLUSTER INFO", false, ""},
		{"CLUSTERDOWN The cluster is down", "CLUSTER INFO", false, ""},
		{"MOVED 3999 10.0.0.7:6381", "add ?cluster=true", false, ""},
		{"CROSSSLOT Keys in request don't hash to the same slot", "add ?cluster=true", false, ""},
		{"ERR SELECT is not allowed in cluster mode", "only the database 0", true, ""},
		{"ERR This instance has cluster support disabled", "remove cluster=true", true, ""},
		{"ERR max number of clients reached", "maxclients", false, ""},
		{"DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.", "protected mode", true, ""},
		{"ERR DB index is out of range", "no database of the number", true, ""},
		{"ERR unknown command 'set', with args beginning with: 'a' ", "Sentinel", true, ""},
		{"ERR unknown command `set`, with args beginning with: `a`, ", "Sentinel", true, ""},
		{"ERR something of 10.0.0.7 that the service does not know", "refuses", false, ""},
		{"ERR unknown command 'pttl', with args beginning with: 'a' ", "no command PTTL:", false, "pttl"},
		{"NOPERM User game has no permissions to run the 'hset' command", "lacks +hset:", false, "hset"},
		{"NOPERM No permissions to access a key", "lacks ~wm:*", false, "hset"},
		{"ERR no such command", "does not return", false, "none"},
	} {
		p, err := app.Open(app.Options{
			Config: config.Config{DatabaseURL: "postgres://nobody.invalid/x", RedisURL: "redis://" + redisThatSays(t, test.reply, test.to)},
			LogTo:  io.Discard, Budgets: testenv.Budgets(),
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 30 { // a starved machine may be late
			if err = p.Cache.Check(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
		}
		p.Close()
		u, is := errors.AsType[*cache.Unusable](err)
		if !is || !strings.Contains(u.Error(), test.want) || u.WrongURL != test.wrongURL || strings.Contains(u.Error(), "10.0.0.7") {
			t.Errorf("%s: Check: got %v, want %q without an address, and WrongURL %t", test.reply, err, test.want, test.wrongURL)
			continue
		}
		sentences.Add(u.Error())
	}
}

// redisThatSays starts a server that answers the command to, or each if to is empty, with an error.
func redisThatSays(t *testing.T, reply, to string) (address string) {
	t.Helper()
	return serveConns(t, func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			switch command, err := readCommand(r); {
			case err != nil:
				return
			case to == "" || to == command:
				_, _ = io.WriteString(c, "-"+reply+"\r\n")
			case command == "hello": // of a new connection; Redis 5 refuses it
				_, _ = io.WriteString(c, "-ERR unknown command `hello`\r\n")
			case command == "evalsha":
				_, _ = io.WriteString(c, "*0\r\n")
			default:
				_, _ = io.WriteString(c, ":1\r\n")
			}
		}
	})
}

// readCommand reads an array of strings and returns the first.
func readCommand(r *bufio.Reader) (name string, err error) {
	length := func() int {
		head, headErr := r.ReadString('\n')
		n, numberErr := strconv.Atoi(strings.Trim(head, "*$\r\n"))
		err = errors.Join(err, headErr, numberErr)
		return n
	}
	for i := range length() {
		text := make([]byte, length()+len("\r\n"))
		if _, readErr := io.ReadFull(r, text); readErr != nil {
			return "", errors.Join(err, readErr)
		}
		if i == 0 {
			name = strings.TrimSpace(string(text))
		}
	}
	return name, err
}

// TestFunctionSaysThatRedisIsUnset checks the log of a cold start.
func TestFunctionSaysThatRedisIsUnset(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{"": "REDIS_URL is not set", "off": "REDIS_URL is off", "redis://cache": ""} {
		var log strings.Builder
		p, err := app.OpenFunction(environment(map[string]string{"DATABASE_URL": "postgres://h/d", "REDIS_URL": url}), &log, 1)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if got := log.String(); !strings.Contains(got, want) || strings.Count(got, "\n") > 1 || (want == "") != (got == "") {
			t.Errorf("REDIS_URL=%q: the log is %q, want %q", url, got, want)
		}
	}
}
