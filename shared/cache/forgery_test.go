package cache_test

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Without the secret nothing can be forged or moved in Redis: the database is read.
func TestForgery(t *testing.T) {
	t.Parallel()
	field := func(t *testing.T, x *entity) string { return "v1" + x.CacheTag(t) }
	value := func(t *testing.T, x *entity) string { return sealed(t, x, field(t, x)) }
	put := func(t *testing.T, x *entity, v string) { x.Redis.Client.HSet(t.Context(), x.key, field(t, x), v) }
	for name, forge := range map[string]func(*testing.T, *entity){
		"a changed bit of the value": func(t *testing.T, x *entity) {
			v := []byte(value(t, x))
			v[len(v)-1] ^= 1
			put(t, x, string(v))
		},
		"a later time of the fill": func(t *testing.T, x *entity) {
			v := []byte(value(t, x))
			v[16+7] ^= 1
			put(t, x, string(v))
		},
		"a value of another epoch": func(t *testing.T, x *entity) {
			epoch := strings.Repeat("f", 16)
			now := x.Redis.Client.Time(t.Context()).Val().UnixMilli()
			put(t, x, epoch+value(t, x)[16:])
			x.StampWatermark(t, now, epoch, now)
		},
		"a value of another format": func(t *testing.T, x *entity) {
			x.value.Store(5)
			for v2 := x.open(x.Program, "v2"); !x.Redis.Client.HExists(t.Context(), x.key, "v2"+x.CacheTag(t)).Val(); {
				read(t, v2)
			}
			x.value.Store(7)
			put(t, x, sealed(t, x, "v2"+x.CacheTag(t)))
		},
		"a value in the clear": func(t *testing.T, x *entity) { put(t, x, value(t, x)[:16]+"7") },
		"a watermark that is kept young": func(t *testing.T, x *entity) {
			x.log(t, x.key)
			x.Redis.Client.HSet(t.Context(), x.Watermark(t), "t", x.Redis.Client.Time(t.Context()).Val().UnixMilli())
		},
		"a snapshot that skips the change": func(t *testing.T, x *entity) {
			x.log(t, x.key)
			var now string
			if err := x.Owner.QueryRow(t.Context(), "SELECT pg_current_snapshot()::text").Scan(&now); err != nil {
				t.Fatal(err)
			}
			x.Redis.Client.HSet(t.Context(), x.Watermark(t), "s", now)
			x.AgeWatermark(t, 2*cache.MaxStaleness)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				x := newEntity(t, e)
				x.warm(t)
				x.value.Store(7) // what a read of the database returns now
				forge(t, x)
				if got := read(t, x.kind); got != 7 {
					t.Errorf("read %d, want 7 from the database", got)
				}
			})
		})
	}
}

// An old value cannot be put back once it is older than the cache keeps values.
func TestOldValueIsPutBack(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	x := newEntity(t, e)
	now := time.Now()
	e.Redis.Mini.SetTime(now)
	x.warm(t)
	field := "v1" + x.CacheTag(t)
	old := sealed(t, x, field)
	x.value.Store(7)
	later := now.Add(cache.DefaultTTL + time.Millisecond)
	e.Redis.Mini.SetTime(later)
	e.StampWatermark(t, later.UnixMilli(), old[:16], later.UnixMilli())
	e.Redis.Client.HSet(t.Context(), x.key, field, old)
	x.wantRead(t, "the old value put back", 7, 1)
}

// An honest value that is put back, or that no TTL ends, is served until it is older than CACHE_TTL, and never after that.
func TestRollbackEnds(t *testing.T) {
	t.Parallel()
	const ttl = 20 * time.Second
	for name, attack := range map[string]func(a *attacker, field, old string){
		"put back": func(a *attacker, field, old string) { a.redis.HSet(context.Background(), a.key, field, old) },
		"put back with the oldest watermark": func(a *attacker, field, old string) {
			a.redis.HSet(context.Background(), a.key, field, old)
			a.set(pick(a.honest[0], "s", "e", "n"))
		},
		"without a TTL": func(a *attacker, _, _ string) { a.redis.Persist(context.Background(), a.key) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAttacker(t, "miniredis", func(o *app.Options) { o.CacheTTL = ttl })
			field := "v1" + a.CacheTag(t)
			old := sealed(t, a.entity, field)
			filled := int64(binary.BigEndian.Uint64([]byte(old[16:])))
			a.value.Add(1) // the log does not name it: otherwise a sync deletes what has no TTL
			last := int64(0)
			for a.clock() < filled+2*ttl.Milliseconds() {
				a.advance()
				attack(a, field, old)
				if now := a.clock(); read(t, a.kind) == 0 {
					last = now - filled
				}
			}
			if last == 0 || last > ttl.Milliseconds() {
				t.Errorf("the old value was last served %d ms after its fill, want more than 0 and at most %d", last, ttl.Milliseconds())
			}
		})
	}
}

// sealed returns the epoch and the sealed value of a field in Redis.
func sealed(t *testing.T, x *entity, field string) string {
	t.Helper()
	v := x.Redis.Client.HGet(t.Context(), x.key, field).Val()
	if len(v) < 16 {
		t.Fatalf("the field %s of %s has %q, want an epoch and a value", field, x.key, v)
	}
	return v
}
