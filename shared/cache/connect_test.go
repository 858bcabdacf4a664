package cache_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestFrozenFunction freezes a function for longer than it trusts a connection, and kills its connections meanwhile: no call waits
// for one of them.
func TestFrozenFunction(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		const connections, trusted = 4, 10 * time.Millisecond
		x := newEntity(t, e)
		x.warm(t)
		p := e.Open(t, func(c *app.Options) {
			c.Concurrency = connections
			c.RedisURL += "?conn_max_idle_time=" + trusted.String()
		})
		k := x.open(p, "v1")
		before := e.RDProxy.Accepted()
		e.RDProxy.Hold()
		done := make(chan error)
		for range connections {
			go func() { done <- p.Redis.Ping(context.Background()).Err() }()
		}
		for e.RDProxy.Accepted() < before+connections && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		e.RDProxy.Release()
		for range connections {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		e.RDProxy.Silence()
		for end := time.Now().Add(trusted); time.Now().Before(end); {
		}
		for range 3 {
			if got := read(t, k); got != 0 {
				t.Errorf("read %d, want 0", got)
			}
		}
		if s := p.Cache.Stats(); s.RedisErrors != 0 || s.Bypassed != 0 || s.Untrusted != 0 {
			t.Errorf("%+v after the gap, want no call to have failed", s)
		}
	})
}

func TestConnect(t *testing.T) {
	t.Parallel()
	type settings struct {
		Size, Pipelines      int
		Idle, Lifetime, Read time.Duration
	}
	password := func(context.Context, string) (string, error) { return "token", nil }
	const ms, halfHour = time.Millisecond, 30 * time.Minute
	for _, test := range []struct {
		url  string
		o    cache.ConnectOptions
		want settings
	}{
		{"redis://h", cache.ConnectOptions{}, settings{64, -1, halfHour, 0, 50 * ms}},
		{"redis://h", cache.ConnectOptions{Concurrency: 1}, settings{1, -1, 10 * time.Second, 0, 50 * ms}},
		{"redis://h?pool_size=7&pipeline_pool_size=2&conn_max_idle_time=1m", cache.ConnectOptions{Concurrency: 10}, settings{7, 2, time.Minute, 0, 50 * ms}},
		{"redis://h?read_timeout=1s", cache.ConnectOptions{Concurrency: 10}, settings{10, -1, 10 * time.Second, 0, time.Second}},
		{"rediss://u@h", cache.ConnectOptions{Password: password}, settings{64, -1, halfHour, 11 * time.Hour, 50 * ms}},
		{"rediss://u@h?conn_max_lifetime=1h", cache.ConnectOptions{Password: password}, settings{64, -1, halfHour, time.Hour, 50 * ms}},
	} {
		for _, cluster := range []bool{false, true} {
			url := test.url
			if cluster && strings.Contains(url, "?") {
				url += "&cluster=true"
			} else if cluster {
				url += "?cluster=true"
			}
			client, err := cache.Connect(url, test.o)
			if err != nil {
				t.Errorf("Connect(%q): %v", url, err)
				continue
			}
			var got settings
			switch c := client.(type) {
			case *redis.Client:
				o := c.Options()
				got = settings{o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime, o.ConnMaxLifetime, o.ReadTimeout}
			case *redis.ClusterClient:
				o := c.Options()
				got = settings{o.PoolSize, o.PipelinePoolSize, o.ConnMaxIdleTime, o.ConnMaxLifetime, o.ReadTimeout}
				if got.Idle == 0 {
					got.Idle = halfHour // each node's client fills it in
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Connect(%q) (-want +got):\n%s", url, diff)
			}
			_ = client.Close()
		}
	}

	t.Run("a token goes only to a server that has shown a certificate", func(t *testing.T) {
		t.Parallel()
		for _, url := range []string{
			"redis://u@h", "rediss://h", "rediss://u:p@h", "rediss://u@h?skip_verify=true", "redis://u@h?cluster=true", "rediss://h?cluster=true",
		} {
			if _, err := cache.Connect(url, cache.ConnectOptions{Password: password}); err == nil {
				t.Errorf("Connect(%q) takes it", url)
			}
		}
	})
}
