package cache_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// readmeRights returns the rights that local/README.md lists, for a single Redis and for a cluster.
func readmeRights(t *testing.T) (single, cluster []string) {
	t.Helper()
	readme, err := os.ReadFile("../../local/README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("An ACL user needs `([^`]+)`, in a cluster\\s+`([^`]+)`").FindSubmatch(readme)
	if m == nil {
		t.Fatal("local/README.md has no list of rights")
	}
	return strings.Fields(string(m[1])), strings.Fields(string(m[2]))
}

// TestCheckRights takes each right of README's list from a user: the check names it. With all of them it finds nothing.
func TestCheckRights(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no ACL")
		return
	}
	rights, _ := readmeRights(t)
	e := testenv.New(t, "plugins", "miniredis")
	server := testenv.StartRedis(t, "redis-server")
	user := func(t *testing.T, rights ...string) (url string) {
		t.Helper()
		name := strings.ReplaceAll(t.Name(), "/", "_")
		args := []any{"acl", "setuser", name, "on", ">s3cret"}
		for _, r := range rights {
			args = append(args, r)
		}
		if err := server.Client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		return "redis://" + name + ":s3cret@" + server.Addr
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		p, log := openLogged(t, e, user(t, rights...))
		newEntity(t, e).open(p, "v1")
		if err := p.Cache.Check(t.Context()); err != nil || log.String() != "" {
			t.Errorf("Check: got %v and the log %q, want nothing", err, log)
		}
	})
	for _, right := range rights[1:] {
		if right == "+hgetall" || right == "+hkeys" {
			continue // only other databases on this Redis need them
		}
		t.Run("without "+right, func(t *testing.T) {
			t.Parallel()
			p, log := openLogged(t, e, user(t, append(slices.Clone(rights), "-"+right[1:])...))
			wantCheck(t, p, log, "lacks "+right+":", false)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		p, log := openLogged(t, e, user(t, "~*"))
		wantCheck(t, p, log, "+eval", false)
		for _, right := range rights[1:] {
			if right != "+hgetall" && right != "+hkeys" && right != "+hset" && !strings.Contains(log.String(), right) { // without +set no HSET is tried
				t.Errorf("the log is %s, want %s in it", log, right)
			}
		}
	})
	t.Run("keys of a kind", func(t *testing.T) {
		t.Parallel()
		p, log := openLogged(t, e, user(t, append(slices.Clone(rights[1:]), "~wm:*")...))
		p.Cache.Kind("user:", format("v1"), nil)
		p.Cache.Kind("character:", format("v1"), nil)
		wantCheck(t, p, log, "lacks ~user:* ~character:*:", false)
	})
	t.Run("keys to write", func(t *testing.T) {
		t.Parallel()
		p, log := openLogged(t, e, user(t, append(slices.Clone(rights[1:]), "%R~*")...))
		wantCheck(t, p, log, "lacks ~wm:*:", false)
	})
	t.Run("the prefix", func(t *testing.T) {
		t.Parallel()
		url := user(t, append(slices.Clone(rights[1:]), "~game:*")...)
		p := e.Open(t, func(c *app.Options) { c.RedisURL, c.RedisPrefix = url, "game:" })
		p.Cache.Kind("user:", format("v1"), nil)
		if err := p.Cache.Check(t.Context()); err != nil {
			t.Errorf("Check with the rights for the prefix: %v", err)
		}
		log := &report{}
		p = e.Open(t, func(c *app.Options) { c.RedisURL, c.RedisPrefix, c.LogTo = url, "other:", log })
		wantCheck(t, p, log, "lacks ~other:wm:*:", false)
	})
	t.Run("select", func(t *testing.T) {
		t.Parallel()
		p, log := openLogged(t, e, user(t, rights...)+"/3")
		wantCheck(t, p, log, "lacks +select:", false)
		p, log = openLogged(t, e, user(t, append(slices.Clone(rights), "+select")...)+"/3")
		if err := p.Cache.Check(t.Context()); err != nil || log.String() != "" {
			t.Errorf("Check with +select: got %v and the log %q, want nothing", err, log)
		}
	})
}

// TestRefusedReadsAreLogged checks that a function learns why its cache is off without a check: it has no /readyz.
func TestRefusedReadsAreLogged(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no ACL")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	server := testenv.StartRedis(t, "redis-server")
	for want, change := range map[string][]any{
		"lacks +eval":      {"acl", "setuser", "default", "-eval", "-evalsha"},
		"lacks +hmget":     {"acl", "setuser", "default", "-hmget"},
		"lacks +hget":      {"acl", "setuser", "default", "-hget"},
		"lacks +time":      {"acl", "setuser", "default", "-time"},
		"maxmemory-policy": {"config", "set", "maxmemory", "1"},
		"must lead to the": {"replicaof", "127.0.0.1", "1"},
	} {
		if err := server.Client.Do(t.Context(), change...).Err(); err != nil {
			t.Fatal(err)
		}
		p, log := openLogged(t, e, "redis://"+server.Addr)
		k := newEntity(t, e).open(p, "v1")
		for range 5 {
			read(t, k)
		}
		if n := strings.Count(log.String(), "the cache is off"); n != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("%q: the log has %d lines, want 1 with %q: %s", change, n, want, log)
		}
		server.Client.Do(t.Context(), "acl", "setuser", "default", "+@all")
		server.Client.Do(t.Context(), "config", "set", "maxmemory", "0")
		server.Client.Do(t.Context(), "replicaof", "no", "one")
		server.Client.FlushAll(t.Context())
	}
}
