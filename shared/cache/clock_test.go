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
		read(t, x.kind) // asks what database this is
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
			e.Redis.Client.Del(t.Context(), e.Watermark(t), e.SyncLock(t))
			asked.Store(0)
			_, _ = x.kind.Get(t.Context(), "1")
			began, err := e.Redis.Client.HGet(t.Context(), e.Watermark(t), "t").Int64()
			if err != nil || asked.Load() == 0 {
				if t.Context().Err() != nil {
					t.Fatal("no sync ended in time")
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

// TestCachedClockIsNotAhead delays the statement that reads the database's clock. Entry.Now hides what is due, so it must
// not run ahead of that clock by the delay.
func TestCachedClockIsNotAhead(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		read(t, x.kind) // asks what database this is
		databaseMS := func() (ms int64) {
			t.Helper()
			err := e.Owner.QueryRow(t.Context(), `SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint`).Scan(&ms)
			if err != nil {
				t.Error(err)
			}
			return ms
		}
		var afterT atomic.Int64 // the database's clock at a moment after the sync has read the Redis clock
		e.PGProxy.OnSend(func(b []byte) {
			if !bytes.Contains(b, []byte("pg_current_snapshot")) {
				return
			}
			now := databaseMS()
			for databaseMS() < now+100 && !t.Failed() {
			}
			afterT.Store(now)
		})
		for {
			e.PGProxy.Reset() // a new connection, on which the statement's text is sent
			e.Redis.Client.Del(t.Context(), e.Watermark(t), e.SyncLock(t))
			afterT.Store(0)
			_, _ = x.kind.Get(t.Context(), "1")
			d, err := e.Redis.Client.HGet(t.Context(), e.Watermark(t), "d").Int64()
			if err != nil || afterT.Load() == 0 { // the sync ran into its time limit
				if t.Context().Err() != nil {
					t.Fatal("no sync ended in time")
				}
				continue
			}
			if d > afterT.Load() {
				t.Errorf("the watermark's database clock is %d ms ahead of the database's", d-afterT.Load())
			}
			hits := e.Program.Cache.Stats().Hits
			hit, err := x.kind.Get(t.Context(), "1")
			if err != nil || e.Program.Cache.Stats().Hits == hits {
				continue // the watermark is too old by now
			}
			if ahead := hit.Now.UnixMilli() - databaseMS(); ahead > 0 {
				t.Errorf("Now of a hit is %d ms ahead of the database's clock", ahead)
			}
			return
		}
	})
}
