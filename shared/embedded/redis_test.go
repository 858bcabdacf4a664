package embedded_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/embedded"
)

func TestRedis(t *testing.T) {
	t.Parallel()
	server, err := embedded.StartRedis()
	if err != nil {
		t.Fatalf("StartRedis: %v", err)
	}
	t.Cleanup(server.Stop)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatalf("URL: got %q: %v", server.URL(), err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	ctx := t.Context()

	for key, ttl := range map[string]time.Duration{"short": 30 * time.Millisecond, "long": time.Minute} {
		if err := client.Set(ctx, key, "value", ttl).Err(); err != nil {
			t.Fatalf("SET %s: %v", key, err)
		}
	}
	began := time.Now()
	waitFor(t, func() bool {
		// A script reads the keys in another way.
		n, err := client.Eval(ctx, "return redis.call('EXISTS', KEYS[1])", []string{"short"}).Int()
		return err == nil && n == 0
	})
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("a TTL of 30ms ended after %v", took)
	}
	ttl, err := client.PTTL(ctx, "long").Result()
	if err != nil || ttl <= 0 || ttl >= time.Minute {
		t.Errorf("PTTL long: got %v, %v, want more than 0 and less than a minute", ttl, err)
	}
}
