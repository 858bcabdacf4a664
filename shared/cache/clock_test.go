package cache_test

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// A watermark says since when Redis lacks nothing, so its clock is read before the snapshot that it vouches for is taken.
func TestClockIsReadBeforeTheSnapshot(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		clock := func() int64 { return e.Redis.Client.Time(t.Context()).Val().UnixMilli() }
		var asked atomic.Int64 // the Redis clock when the snapshot was asked for
		e.PGProxy.OnSend(func(b []byte) {
			if !bytes.Contains(b, []byte("pg_current_snapshot")) {
				return
			}
			now := clock()
			for clock() < now+2 && t.Context().Err() == nil {
			}
			asked.Store(now)
		})
		for {
			e.PGProxy.Reset() // a new connection, on which the statement's text is sent
			e.Redis.Client.Del(t.Context(), "wm", "wm:lock")
			asked.Store(0)
			_, _ = x.kind.Get(t.Context(), "1")
			began, err := e.Redis.Client.HGet(t.Context(), "wm", "t").Int64()
			if err != nil || asked.Load() == 0 {
				if t.Context().Err() != nil {
					t.Fatal("no drain came through")
				}
				continue
			}
			if began > asked.Load() {
				t.Errorf("the watermark's clock is %d ms, and the snapshot was asked for at %d", began, asked.Load())
			}
			return
		}
	})
}
