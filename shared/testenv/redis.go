package testenv

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/childprocess"
)

// Redis is one test's Redis server.
type Redis struct {
	Kind   string
	Addr   string
	Client *redis.Client // connects to the server directly, not through the program
	Mini   *miniredis.Miniredis

	start   func(t testing.TB)
	stop    func(t testing.TB)
	process *childprocess.Process // nil for miniredis
}

// StartRedis starts a Redis of a kind (see RedisKinds). It stops with the test.
func StartRedis(t testing.TB, kind string, args ...string) *Redis {
	t.Helper()
	r := &Redis{Kind: kind}
	if kind == "miniredis" {
		r.Mini = miniredis.NewMiniRedis()
		if err := r.Mini.Start(); err != nil {
			t.Fatal(err)
		}
		r.Mini.ClockTTL(true)
		r.Addr = r.Mini.Addr()
		t.Cleanup(r.Mini.Close)
		r.stop = func(testing.TB) { r.Mini.Close() }
		r.start = func(t testing.TB) {
			if err := r.Mini.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		port := FreePort(t)
		r.Addr = fmt.Sprintf("127.0.0.1:%d", port)
		r.start = func(t testing.TB) { r.process = startRedisServer(t, port, args) }
		r.stop = func(testing.TB) { r.process.Kill() }
		r.start(t)
		t.Cleanup(func() { r.stop(t) })
	}
	r.Client = redis.NewClient(&redis.Options{Addr: r.Addr, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = r.Client.Close() })
	r.waitReady(t)
	return r
}

// Stop kills the server.
func (r *Redis) Stop(t testing.TB) { r.stop(t) }

// Start starts the server again after Stop, empty and at the same address.
func (r *Redis) Start(t testing.TB) {
	r.start(t)
	r.waitReady(t)
	r.Client.FlushAll(t.Context())
}

// StartRedisCluster starts n primaries that share the slots. It needs redis-server.
func StartRedisCluster(t testing.TB, n int) []*Redis {
	t.Helper()
	const slots = 16384
	var nodes []*Redis
	for i := range n {
		r := StartRedis(t, "redis-server", "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(FreePort(t)))
		if err := r.Client.ClusterAddSlotsRange(t.Context(), i*slots/n, (i+1)*slots/n-1).Err(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, r)
	}
	for _, r := range nodes[1:] {
		host, port, _ := strings.Cut(r.Addr, ":")
		bus := r.Client.ConfigGet(t.Context(), "cluster-port").Val()["cluster-port"]
		if err := nodes[0].Client.Do(t.Context(), "cluster", "meet", host, port, bus).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range nodes {
		for !strings.Contains(r.Client.ClusterInfo(t.Context()).Val(), "cluster_state:ok") ||
			!strings.Contains(r.Client.ClusterInfo(t.Context()).Val(), "cluster_slots_ok:16384") {
			if t.Context().Err() != nil {
				t.Fatal("the cluster did not form")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nodes
}

func (r *Redis) waitReady(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err := r.Client.Ping(t.Context()).Err()
		// A server that requires a password or TLS has answered, too.
		if err == nil || strings.Contains(fmt.Sprint(err), "NOAUTH") || strings.Contains(fmt.Sprint(err), "EOF") {
			return
		}
		if r.process != nil && r.process.Exited() {
			t.Fatalf("redis-server ended at its start: %v", r.process.Wait())
		}
	}
	t.Fatalf("redis did not start within %v", Patience)
}

func startRedisServer(t testing.TB, port int, args []string) *childprocess.Process {
	t.Helper()
	args = append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, args...)
	cmd := exec.Command("redis-server", args...)
	p, err := childprocess.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatalf("redis-server: %v", err)
	}
	return p
}
