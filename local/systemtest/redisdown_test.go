package systemtest_test

import (
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// redisFault is a fault of the network or the server.
type redisFault struct {
	name       string
	begin, end func(t testing.TB, e *env)
}

var redisFaults = []redisFault{
	{"refused", func(_ testing.TB, e *env) { e.RDProxy.Refuse() }, func(_ testing.TB, e *env) { e.RDProxy.Accept() }},
	{"hung", func(_ testing.TB, e *env) { e.RDProxy.Hold() }, func(_ testing.TB, e *env) { e.RDProxy.Reset(); e.RDProxy.Release() }},
	{"hung and resumed", func(_ testing.TB, e *env) { e.RDProxy.Hold() }, func(_ testing.TB, e *env) { e.RDProxy.Release() }},
	{"silently dead connections", func(_ testing.TB, e *env) { e.RDProxy.Silence() }, func(testing.TB, *env) {}},
	{"reset", func(_ testing.TB, e *env) { e.RDProxy.Reset() }, func(testing.TB, *env) {}},
	{"slow by 20 ms", slowRedis(20 * time.Millisecond), slowRedis(0)},
	{"slow by 200 ms", slowRedis(200 * time.Millisecond), slowRedis(0)},
	{"killed and started empty", func(t testing.TB, e *env) { e.Redis.Stop(t) }, func(t testing.TB, e *env) { e.Redis.Start(t) }},
	{"emptied", func(t testing.TB, e *env) { e.Redis.Client.FlushAll(t.Context()) }, func(testing.TB, *env) {}},
}

func slowRedis(d time.Duration) func(testing.TB, *env) {
	return func(_ testing.TB, e *env) { e.RDProxy.Delay(d) }
}

// Redis fails under a load of all kinds of calls. No request fails, each player reads their own writes, and the cache is used
// again afterwards.
func TestRedisFaultsUnderLoad(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		program := e.Open(t, testenv.RealRedisBudgets)
		e.clients = serve(t, program)
		hits := func() uint64 { return program.Cache.Stats().Hits }
		players := newPlayers(t, e, 8)
		for _, f := range redisFaults {
			wantHits(t, hits, e.clients, players...)
			y := &tally{}
			stop := load(t, e.clients, y, players)
			f.begin(t, e)
			y.await(t, 200)
			f.end(t, e)
			y.await(t, 100)
			stop()
			y.want(t, f.name)
		}
		wantHits(t, hits, e.clients, players...)
	})
}

// load plays rounds of all players until stop is called.
func load(t testing.TB, c *clients, y *tally, players []*player) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					p.round(t, c, y)
				}
			}
		})
	}
	return func() {
		close(end)
		all.Wait()
	}
}

// await waits for n more requests.
func (y *tally) await(t testing.TB, n int64) {
	t.Helper()
	from := y.calls.Load()
	eventually(t, "requests", func() bool { return y.calls.Load() >= from+n })
}
