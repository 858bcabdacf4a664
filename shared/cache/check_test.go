package cache_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// report is what a program's log says of the cache.
type report struct {
	strings.Builder
}

// openLogged opens a program of e that writes its log into the report.
func openLogged(t *testing.T, e *testenv.Env, url string) (*app.Program, *report) {
	t.Helper()
	log := &report{}
	return e.Open(t, func(c *app.Options) { c.RedisURL, c.LogTo, c.LogFormat = url, log, "text" }), log
}

// wantCheck checks what Check says, and that the log says the same in one line, however often it is asked.
func wantCheck(t *testing.T, p *app.Program, log *report, want string, wrongURL bool) {
	t.Helper()
	for range 2 {
		err := p.Cache.Check(t.Context())
		u, is := errors.AsType[*cache.Unusable](err)
		if !is || !strings.Contains(u.Error(), want) || u.WrongURL != wrongURL {
			t.Fatalf("Check: got %v, want an Unusable with %q and WrongURL %t", err, want, wrongURL)
		}
	}
	if n := strings.Count(log.String(), "the cache is off"); n != 1 || !strings.Contains(log.String(), want) {
		t.Errorf("the log has %d lines, want 1 with %q: %s", n, want, log)
	}
	for _, hidden := range []string{"127.0.0.1", "s3cret", "probe"} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("the log has %q: %s", hidden, log)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		before := e.Redis.Client.HGetAll(t.Context(), e.Watermark(t)).Val()
		keys, stats := e.Redis.Client.Keys(t.Context(), "*").Val(), e.Program.Cache.Stats()
		for range 3 {
			if err := e.Program.Cache.Check(t.Context()); err != nil {
				t.Fatalf("Check: %v", err)
			}
		}
		after := e.Redis.Client.Keys(t.Context(), "*").Val()
		slices.Sort(keys)
		slices.Sort(after)
		if !slices.Equal(keys, after) {
			t.Errorf("the keys are %q, before the checks they were %q", after, keys)
		}
		if n := e.Redis.Client.HLen(t.Context(), "wm:databases").Val(); n != 1 {
			t.Errorf("%d databases use this Redis, want 1: a check is none", n)
		}
		if got := e.Redis.Client.HGetAll(t.Context(), e.Watermark(t)).Val(); fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("the watermark is %q, before the checks it was %q", got, before)
		}
		if got := e.Program.Cache.Stats(); got != stats {
			t.Errorf("%+v after the checks, want %+v", got, stats)
		}
	})
}

// TestCheckDown checks that a Redis that does not answer is not taken for one that cannot be used.
func TestCheckDown(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		e.RDProxy.Refuse()
		err := e.Program.Cache.Check(t.Context())
		if _, answered := errors.AsType[*cache.Unusable](err); err == nil || answered {
			t.Errorf("Check: got %v, want an error that is no Unusable", err)
		}
		e.RDProxy.Accept()
		if err := e.Program.Cache.Check(t.Context()); err != nil {
			t.Errorf("Check of a Redis that is back: %v", err)
		}
	})
}

// TestCheckServers starts servers as operators have them, on which no read can hit.
func TestCheckServers(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no such settings")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	for name, test := range map[string]struct {
		args     []string
		set      []string // once it runs
		url      string   // behind the address
		user     string
		want     string
		wrongURL bool
	}{
		"full":                     {args: []string{"--maxmemory", "1", "--maxmemory-policy", "noeviction"}, want: "maxmemory-policy"},
		"no scripts":               {args: []string{"--rename-command", "EVAL", "", "--rename-command", "EVALSHA", ""}, want: "no command EVAL, EVALSHA:"},
		"a renamed command":        {args: []string{"--rename-command", "PTTL", "x"}, want: "no command PTTL:"},
		"a wrong database":         {url: "/99", want: "no database of the number", wrongURL: true},
		"no cluster":               {url: "?cluster=true", want: "no Redis Cluster: remove cluster=true", wrongURL: true},
		"no cluster, by 1":         {url: "?cluster=1", want: "no Redis Cluster: remove cluster=true", wrongURL: true},
		"no password":              {args: []string{"--requirepass", "s3cret"}, want: "REDIS_URL has none", wrongURL: true},
		"a wrong password":         {args: []string{"--requirepass", "s3cret"}, user: ":other@", want: "refuses the user or the password", wrongURL: true},
		"too few replicas":         {args: []string{"--min-replicas-to-write", "1"}, want: "min-replicas-to-write"},
		"a replica":                {args: []string{"--replicaof", "127.0.0.1", "1"}, want: "is a replica", wrongURL: true},
		"a replica without answer": {args: []string{"--replicaof", "127.0.0.1", "1"}, set: []string{"replica-serve-stale-data", "no"}, want: "is a replica", wrongURL: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.StartRedis(t, "redis-server", test.args...)
			if len(test.set) > 0 {
				if err := server.Client.ConfigSet(t.Context(), test.set[0], test.set[1]).Err(); err != nil {
					t.Fatal(err)
				}
			}
			p, log := openLogged(t, e, "redis://"+test.user+server.Addr+test.url)
			wantCheck(t, p, log, test.want, test.wrongURL)
			k := newEntity(t, e).open(p, "v1")
			for range 3 {
				read(t, k)
			}
			if s := p.Cache.Stats(); s.Hits != 0 {
				t.Errorf("%+v: want no hits where Check finds that there can be none", s)
			}
		})
	}
}

func TestCheckCluster(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no cluster")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	nodes := testenv.StartRedisCluster(t, 3)
	for _, flag := range []string{"?cluster=true", "?cluster=1"} {
		p, log := openLogged(t, e, "redis://"+nodes[0].Addr+flag)
		p.Cache.Kind("user:", format("v1"), nil)
		if err := p.Cache.Check(t.Context()); err != nil || log.String() != "" {
			t.Errorf("Check with %s: got %v and the log %q, want nothing", flag, err, log)
		}
	}
	t.Run("without the flag", func(t *testing.T) {
		p, log := openLogged(t, e, "redis://"+nodes[0].Addr)
		wantCheck(t, p, log, "add ?cluster=true", false)
	})
	t.Run("without the flag, with a number", func(t *testing.T) {
		p, log := openLogged(t, e, "redis://"+nodes[0].Addr+"/3")
		wantCheck(t, p, log, "remove the number", true) // Redis and Valkey 9 refuse it with different replies
	})
	for i, node := range nodes {
		p, log := openLogged(t, e, "redis://"+nodes[0].Addr+"?cluster=true")
		node.Client.ConfigSet(t.Context(), "maxmemory", "1")
		t.Logf("node %d is full", i)
		wantCheck(t, p, log, "maxmemory-policy", false)
		node.Client.ConfigSet(t.Context(), "maxmemory", "0")
		if err := p.Cache.Check(t.Context()); err != nil || !strings.Contains(log.String(), "the cache is on again") {
			t.Errorf("Check: got %v and the log %q, want that the cache is on again", err, log)
		}
	}
	t.Run("rights", func(t *testing.T) {
		single, more := readmeRights(t)
		rights := append(single, more...)
		setUser := func(rights ...string) {
			for _, n := range nodes {
				args := []any{"acl", "setuser", "game", "reset", "on", ">s3cret"}
				for _, r := range rights {
					args = append(args, r)
				}
				if err := n.Client.Do(t.Context(), args...).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		url := "redis://game:s3cret@" + nodes[0].Addr + "?cluster=true"
		setUser(rights...)
		p, log := openLogged(t, e, url)
		if err := p.Cache.Check(t.Context()); err != nil || log.String() != "" {
			t.Errorf("Check: got %v and the log %q, want nothing", err, log)
		}
		for _, right := range []string{"+eval", "+cluster|slots"} {
			setUser(append(slices.Clone(rights), "-"+right[1:])...)
			p, log := openLogged(t, e, url)
			wantCheck(t, p, log, "lacks "+right+":", false)
		}
	})
}

// TestOff checks a cache without Redis: each read is the database's, and nothing counts as a fault.
func TestOff(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	p := e.Open(t, func(c *app.Options) { c.RedisURL = "off" })
	x := newEntity(t, e)
	k := x.open(p, "v1")
	for i := range int64(3) {
		x.value.Store(i)
		if got := read(t, k); got != i {
			t.Errorf("read %d, want %d", got, i)
		}
		p.Cache.Invalidate(t.Context(), x.key)
		p.Cache.SetPointer(t.Context(), "thing:name:", "a", "1")
		if id, err := p.Cache.Pointer(t.Context(), "thing:name:", "a"); id != "" || err != nil {
			t.Errorf("Pointer: got %q, %v, want none", id, err)
		}
	}
	if err := p.Cache.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	if got := p.Cache.Stats(); got != (cache.Stats{}) {
		t.Errorf("%+v, want no counts", got)
	}
	if n := x.loads.Load(); n != 3 {
		t.Errorf("%d loads, want 3", n)
	}
}
