package systemtest_test

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
)

const (
	herdProcesses = 4
	herdMaxLoads  = 8
)

// Many readers in several processes read one uncached key at the same time. The database reads it only a few times, also if the
// database is slow or Redis is empty.
func TestHerd(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		processes := make([]*clients, herdProcesses)
		for i := range processes {
			processes[i] = herdClients(t, serve(t, e.Open(t)).url)
		}
		newPlayer(t, e).readID(t, e.clients, &tally{})
		for _, herdOf := range []struct {
			name    string
			readers int
			prepare func()
		}{
			{"a cold key", 400, func() {}},
			{"a cold key, a slow load", 400, func() { e.PGProxy.Delay(20 * time.Millisecond) }},
			{"an old watermark", 400, func() { e.AgeWatermark(t, 5*time.Second) }},
			{"an empty Redis", 1600, func() { e.Redis.Client.FlushAll(t.Context()) }},
		} {
			p := newPlayer(t, e)
			herdOf.prepare()
			start := time.Now()
			n := herd(t, e, processes, p, herdOf.readers)
			e.PGProxy.Delay(0)
			most := int64(herdMaxLoads)
			if time.Since(start) > cache.MaxStaleness { // on a slow machine the watermark becomes too old during the herd, and readers stop waiting
				most = int64(herdOf.readers / 2)
			}
			if n > most || n == 0 {
				t.Errorf("%s: %d loads for %d readers, want 1 to %d", herdOf.name, n, herdOf.readers, most)
			} else {
				t.Logf("%s: %d loads for %d readers", herdOf.name, n, herdOf.readers)
			}
		}
	})
}

// herdClients returns clients with as many connections as a process serves at the same time.
func herdClients(t testing.TB, url string) *clients {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = 16, 16
	t.Cleanup(transport.CloseIdleConnections)
	return &clients{users: databasev1.NewUserServiceProtobufClient(url, &http.Client{Transport: transport}), url: url}
}

// herd starts n readers of the player at the same time and counts the loads.
func herd(t testing.TB, e *env, processes []*clients, p *player, n int) int64 {
	t.Helper()
	var loads atomic.Int64
	e.PGProxy.OnSend(func(chunk []byte) { loads.Add(int64(bytes.Count(chunk, []byte(p.id)))) })
	defer e.PGProxy.OnSend(nil)
	barrier := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		c := processes[i%len(processes)]
		all.Go(func() {
			<-barrier
			a, err := patiently(t, c.users.GetUser, &databasev1.GetUserRequest{UserId: p.id})
			if err != nil || a.User.Id != p.id {
				t.Errorf("GetUser = %v, %v", a, err)
			}
		})
	}
	close(barrier)
	all.Wait()
	return loads.Load()
}
