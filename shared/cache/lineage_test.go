package cache_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// An honest watermark proves nothing under another name: a sync of one bucket deletes nothing in another.
func TestWatermarkOfAnotherBucket(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no cluster")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	e.Redis = testenv.StartRedisCluster(t, 1)[0]
	p := e.Open(t, func(c *app.Options) { c.RedisURL = "redis://" + e.Redis.Addr + "?cluster=true" })
	x := newEntity(t, e)
	victim := x.open(p, "v1")
	watermarks := func() []string { return e.Redis.Client.Keys(t.Context(), "{??}:wm:"+e.CacheTag(t)).Val() }
	read(t, victim)
	own := watermarks()
	if len(own) != 1 {
		t.Fatalf("after one read the watermarks are %q, want one", own)
	}
	others, id := p.Cache.Kind("other:", format("v1"), x.load), 0
	sync := func() {
		if _, err := others.Get(t.Context(), fmt.Sprint(id)); err != nil {
			t.Fatal(err)
		}
	}
	for sync(); len(watermarks()) < 2; sync() { // an id may be of the same bucket
		id++
	}
	from := slices.DeleteFunc(watermarks(), func(w string) bool { return w == own[0] })[0]
	x.copyWatermarks(t, victim, from, own[0], sync)
}

// Nor does one of another prefix.
func TestWatermarkOfAnotherPrefix(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		victim := x.open(e.Open(t, func(c *app.Options) { c.RedisPrefix = "other:" }), "v1")
		x.copyWatermarks(t, victim, e.Watermark(t), "other:"+e.Watermark(t), func() {
			if _, err := x.kind.Get(t.Context(), "another"); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// copyWatermarks writes one watermark over another before each read of the victim. sync keeps the copied one young. A change
// must be visible 1 s after its commit.
func (x *entity) copyWatermarks(t *testing.T, victim *cache.Kind, from, to string, sync func()) {
	t.Helper()
	c := x.Redis.Client
	readUnderCopy := func() int64 {
		var copied map[string]string
		for young := false; !young && t.Context().Err() == nil; { // so that the victim's reader does not sync
			sync()
			copied = c.HGetAll(t.Context(), from).Val()
			ms, err := strconv.ParseInt(copied["t"], 10, 64)
			young = err == nil && c.Time(t.Context()).Val().UnixMilli()-ms < cache.SyncAge.Milliseconds()/4
		}
		c.Del(t.Context(), to)
		c.HSet(t.Context(), to, copied)
		return read(t, victim)
	}
	for range 5 { // a copy that were believed would be filled under
		readUnderCopy()
	}
	x.change(t)
	for until := c.Time(t.Context()).Val().Add(cache.MaxStaleness); !c.Time(t.Context()).Val().After(until); {
		readUnderCopy()
	}
	if got := readUnderCopy(); got != x.value.Load() {
		t.Errorf("read %d more than 1 s after the commit of %d", got, x.value.Load())
	}
}
