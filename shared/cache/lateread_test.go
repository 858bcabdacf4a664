package cache_test

import (
	"context"
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestLateReplies checks that a reply of Redis is used although its time was over when this process read it. The time of a call is so
// short here that it is always over.
func TestLateReplies(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		client, err := cache.Connect("redis://"+e.Redis.Addr+"?read_timeout=1ns&write_timeout=1ns", cache.ConnectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		const tries = 100 // Redis may be starved, too
		for range tries {
			if err = client.Ping(context.Background()).Err(); err == nil {
				return
			}
		}
		t.Errorf("none of %d calls got its reply: %v", tries, err)
	})
}
