package rpcserver_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cached lists the rpcs that use the cache.
var cached = []string{"GetUser", "GetUserByUsername", "GetUserByEmail", "GetCharacter", "GetCharacterList"}

// TestLogCacheStatus checks the cache status in the log line of each rpc, on real servers.
func TestLogCacheStatus(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		log := make(lines, 1000)
		all := methods(t, e, serveAll(t, log, e.Program))
		// look makes calls until a log line has the status, and returns the statuses before it.
		look := func(name, want string) (before []string) {
			m := all[name]
			body := encode(t, m.valid(t))[asProtobuf]
			for range 200 {
				postOnce(t, m.path, asProtobuf, body)
				got := log.next(t).Cache
				if got == want {
					return before
				}
				before = append(before, got)
			}
			t.Errorf("%s logged cache %q, want %s at some time", name, slices.Compact(before), want)
			return before
		}
		for name, m := range all {
			if !slices.Contains(cached, name) {
				postOnce(t, m.path, asProtobuf, encode(t, m.valid(t))[asProtobuf])
				if got := log.next(t); got.Cache != "" {
					t.Errorf("%s logged %s, want no cache result", name, got.raw)
				}
			}
		}
		for _, name := range cached {
			if before := look(name, "hit"); slices.Contains(before, "bypassed") || slices.Contains(before, "") {
				t.Errorf("%s logged cache %q before a hit", name, before)
			}
		}
		e.RDProxy.Refuse()
		look("GetUser", "untrusted")
		for _, name := range cached {
			look(name, "bypassed")
		}
	})
}

// TestLogShared makes concurrent requests for uncached values, until one request waits for another.
func TestLogShared(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis", testenv.RealBudgets, func(o *app.Options) { o.Memory = memory.New(1 << 20) })
	log := make(lines, 1000)
	url := serveAll(t, log, e.Program)
	for round := range 100 {
		const callers = 128
		body := `{"user_id":"` + e.AddUser(t, fmt.Sprint("Reader", round)) + `"}`
		var all sync.WaitGroup
		for range callers {
			all.Go(func() { postOnce(t, url+getUserPath, asJSON, body) })
		}
		all.Wait()
		shared := 0
		for range callers {
			if got := log.next(t); got.Cache == "shared" {
				shared++
			}
		}
		if shared > 0 {
			return
		}
	}
	t.Error("no concurrent readers shared a load")
}
