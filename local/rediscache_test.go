package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/childprocess"
	"github.com/osirose-new/database-service/shared/testenv"
)

func hasRedisServer() bool { return testenv.RedisKinds()[0] == "redis-server" }

// wantCacheOff checks that the program serves, and that /readyz says why it has no cache.
func wantCacheOff(t *testing.T, p *program, user, want string) {
	t.Helper()
	var answer map[string]any
	eventually(t, want, func() bool {
		var code int
		code, answer = p.ready(t)
		return code == http.StatusOK && answer["ready"] == true && strings.Contains(fmt.Sprint(answer["redis"]), want)
	})
	if text := fmt.Sprint(answer["redis"]); !strings.HasPrefix(text, "the cache is off: ") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("/readyz says %q, want why the cache is off, without an address", text)
	}
	if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != http.StatusOK {
		t.Errorf("GetUser: got %d %v", code, answer)
	}
}

// wantOneLine ends the program and checks that its log says once why the cache is off.
func wantOneLine(t *testing.T, p *program, want string) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
	if n := strings.Count(p.stderr.String(), "the cache is off"); n != 1 || !strings.Contains(p.stderr.String(), want) {
		t.Errorf("the log has %d lines, want 1 with %q", n, want)
	}
}

// wantLogged waits for the log, which the program writes in blocks.
func wantLogged(t *testing.T, p *program, parts ...string) {
	t.Helper()
	for _, part := range parts {
		eventually(t, part, func() bool { return strings.Contains(p.stderr.String(), part) })
	}
}

// TestReadyzSaysWhyTheCacheIsOff starts the program on servers that answer PING, and on which no read can hit.
func TestReadyzSaysWhyTheCacheIsOff(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no ACL, no cluster and no limits")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	database := "DATABASE_URL=" + e.Program.Config.DatabaseURL
	server := func(args ...string) func(*testing.T) *testenv.Redis {
		return func(t *testing.T) *testenv.Redis { return testenv.StartRedis(t, "redis-server", args...) }
	}
	for name, test := range map[string]struct {
		start func(*testing.T) *testenv.Redis
		want  string
	}{
		"no right to run scripts":    {server("--user", "default", "on", "nopass", "~*", "+@all", "-eval", "-evalsha"), "lacks +eval +evalsha"},
		"no right for keys":          {server("--user", "default", "on", "nopass", "~wm:*", "~user:*", "+@all"), "lacks ~character:* ~characters:*"},
		"a cluster without the flag": {func(t *testing.T) *testenv.Redis { return testenv.StartRedisCluster(t, 1)[0] }, "add ?cluster=true"},
		"full":                       {server("--maxmemory", "1", "--maxmemory-policy", "noeviction"), "maxmemory-policy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, []string{database, "REDIS_URL=redis://" + test.start(t).Addr})
			wantCacheOff(t, p, user, test.want)
			wantOneLine(t, p, test.want)
		})
	}
	t.Run("a cluster with cluster=1", func(t *testing.T) {
		t.Parallel()
		r := testenv.StartRedisCluster(t, 1)[0]
		p := start(t, []string{database, "REDIS_URL=redis://" + r.Addr + "?cluster=1"})
		if _, answer := p.ready(t); answer["redis"] != "ok" {
			t.Errorf("/readyz says %v, want ok", answer)
		}
	})
	t.Run("becomes a replica, and a primary again", func(t *testing.T) {
		t.Parallel()
		r := testenv.StartRedis(t, "redis-server")
		p := start(t, []string{database, "REDIS_URL=redis://" + r.Addr})
		r.Client.Do(t.Context(), "replicaof", "127.0.0.1", "1")
		wantCacheOff(t, p, user, "must lead to the primary")
		r.Client.Do(t.Context(), "replicaof", "no", "one")
		eventually(t, "the cache", func() bool {
			_, answer := p.ready(t)
			return answer["redis"] == "ok"
		})
		wantLogged(t, p, "the cache is on again")
		wantOneLine(t, p, "must lead to the primary")
	})
}

// TestRefuseRedis checks which servers the program does not start with, although they answer PING.
func TestRefuseRedis(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no replica and no Sentinel")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	redis := func(args ...string) string { return testenv.StartRedis(t, "redis-server", args...).Addr }
	cert, key, _ := certificate(t)
	secure := freePort(t)
	redis("--tls-port", secure, "--tls-auth-clients", "no", "--tls-cert-file", cert, "--tls-key-file", key)
	for name, test := range map[string]struct{ url, want string }{
		"a replica":        {"redis://" + redis("--replicaof", "127.0.0.1", "1"), "must lead to the primary"},
		"a Sentinel":       {"redis://" + startSentinel(t), "is a Redis Sentinel"},
		"a wrong database": {"redis://" + redis() + "/99", "no database of the number"},
		"no cluster":       {"redis://" + redis() + "?cluster=true", "remove cluster=true"},
		"TLS to no TLS":    {"rediss://" + redis(), "write redis://"},
		"no TLS to TLS":    {"redis://127.0.0.1:" + secure, "write rediss://"},
		"no Redis":         {"redis://" + testenv.Postgres(t).Addr(), "REDIS_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := runToEnd(t, 1, []string{"DATABASE_URL=" + e.Program.Config.DatabaseURL, "REDIS_URL=" + test.url})
			wantText(t, &p.stderr, "REDIS_URL", test.want)
		})
	}
}

// startSentinel starts a Sentinel that watches a server that is not there.
func startSentinel(t *testing.T) (address string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(file, []byte("sentinel monitor game 127.0.0.1 1 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.Command("redis-server", file, "--sentinel", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())
	childprocess.Attach(cmd, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "the Sentinel", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return "127.0.0.1:" + port
}

func TestRedisOff(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, []string{"DATABASE_URL=" + e.Program.Config.DatabaseURL, "REDIS_URL=off"})
	wantLogged(t, p, "REDIS_URL is off")
	wantText(t, &p.stdout, "Redis       off")
	if code, answer := p.ready(t); code != http.StatusOK || answer["redis"] != "off" || answer["ready"] != true {
		t.Errorf("/readyz: got %d %v, want ready and off", code, answer)
	}
	for _, call := range []string{`GetUser {"user_id":"` + user + `"}`, `GetUserByUsername {"username":"alice"}`} {
		rpc, body, _ := strings.Cut(call, " ")
		for range 2 {
			if code, answer := p.post(t, "UserService/"+rpc, body); code != http.StatusOK {
				t.Errorf("%s: got %d %v", rpc, code, answer)
			}
		}
	}
	code, answer := p.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+user+`","name":"Canary","request_id":"00000000-0000-4000-8000-000000000001"}`)
	if code != http.StatusOK {
		t.Errorf("CreateCharacter: got %d %v", code, answer)
	}
}

// TestRedisUnset checks that a program on a real database says that its Redis is its own.
func TestRedisUnset(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	p := start(t, []string{"DATABASE_URL=" + e.Program.Config.DatabaseURL})
	wantLogged(t, p, "REDIS_URL is not set", "REDIS_URL=off")
	if _, answer := p.ready(t); answer["redis"] != "ok" {
		t.Errorf("/readyz: got %v, want redis ok", answer)
	}
}
