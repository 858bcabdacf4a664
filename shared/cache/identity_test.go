package cache_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// twoDatabases are entities of two databases with the same key, in one Redis.
func twoDatabases(t *testing.T, e *testenv.Env) (one, two *entity) {
	t.Helper()
	one = newEntity(t, e)
	other := &testenv.Env{Database: testenv.NewDatabase(t, testenv.Variants[0]), Redis: e.Redis, PGProxy: e.PGProxy, RDProxy: e.RDProxy}
	other.Program = other.Open(t)
	two = newEntity(t, other)
	two.value.Store(1000)
	return one, two
}

// A value of another database is not served, and both databases have hits.
func TestTwoDatabases(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, one, two *entity){
		"with secrets of their own": func(*testing.T, *entity, *entity) {},
		"one restored from a dump of the other": func(t *testing.T, one, two *entity) {
			var secret []byte
			if err := one.Owner.QueryRow(t.Context(), "SELECT key FROM game.cache_key").Scan(&secret); err != nil {
				t.Fatal(err)
			}
			two.OwnerExec(t, "UPDATE game.cache_key SET key = $1", secret)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				one, two := twoDatabases(t, e)
				prepare(t, one, two)
				for _, x := range []*entity{one, two} {
					x.warm(t)
				}
				for range 5 {
					one.wantRead(t, "the first database", 0, 0)
					two.wantRead(t, "the second database", 1000, 0)
				}
				if a, b := one.Watermark(t), two.Watermark(t); a == b {
					t.Errorf("both have the watermark %s", a)
				}
			})
		})
	}
}

// What one database names, seals or stamps is nothing to the other, even under the other's names.
func TestValueOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		one, two := twoDatabases(t, e)
		one.warm(t)
		two.warm(t)
		move := func(from, to, key string, fields ...string) {
			t.Helper()
			for _, f := range fields {
				value := e.Redis.Client.HGet(t.Context(), key, f).Val()
				e.Redis.Client.HSet(t.Context(), strings.ReplaceAll(key, from, to), strings.ReplaceAll(f, from, to), value)
			}
		}
		from, to := two.CacheTag(t), one.CacheTag(t)
		move(from, to, one.key, "v1"+from)
		one.wantRead(t, "the other's value", 0, 1)
		move(from, to, "wm:"+from, "t", "e", "d", "m", "s", "n")
		move(from, to, one.key, "v1"+from)
		one.wantRead(t, "the other's value and watermark", 0, 1)
	})
}

// A deletion and a sync leave what is not of this database: values of another one, and fields of another program's hash.
func TestDeletionsOfOthers(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*testing.T, *entity){
		"by a write": func(t *testing.T, x *entity) { x.Program.Cache.Invalidate(t.Context(), x.key) },
		"by a sync": func(t *testing.T, x *entity) {
			x.log(t, x.key)
			x.AgeWatermark(t, 2*cache.MaxStaleness)
			read(t, x.open(x.Program, "v2")) // syncs, and fills another field
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
				one, two := twoDatabases(t, e)
				one.warm(t)
				two.warm(t)
				e.Redis.Client.HSet(t.Context(), one.key, "name", "not ours")
				field := func(x *entity) string { return e.Redis.Client.HGet(t.Context(), x.key, "v1"+x.CacheTag(t)).Val() }
				remove(t, one)
				if field(one) != "" {
					t.Error("the value is still there")
				}
				if field(two) == "" {
					t.Error("the other database's value is gone")
				}
				if got := e.Redis.Client.HGet(t.Context(), one.key, "name").Val(); got != "not ours" {
					t.Errorf("the other program's field is %q", got)
				}
			})
		})
	}
}

// A process that has not learned yet that its server was promoted, or has a new secret, deletes what the others read.
func TestDeletionUnderAnOldIdentity(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		x.OwnerExec(t, "UPDATE game.cache_key SET key = DEFAULT")
		knows := x.open(e.Open(t), "v1")
		field := "v1" + x.CacheTag(t)
		for range 1000 {
			if read(t, knows); e.Redis.Client.HExists(t.Context(), x.key, field).Val() {
				break
			}
		}
		if !e.Redis.Client.HExists(t.Context(), x.key, field).Val() {
			t.Fatal("1,000 reads under the new identity filled nothing")
		}
		x.Program.Cache.Invalidate(t.Context(), x.key)
		if e.Redis.Client.HExists(t.Context(), x.key, field).Val() {
			t.Error("the value under the new identity is still there")
		}
	})
}

// The log says once that another database uses the same Redis, and not that this one was restarted.
func TestSharedIsReported(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		var reports atomic.Int64
		p := e.Open(t)
		c := cache.New(p.Redis, p.DB, cache.Options{OnShared: func() { reports.Add(1) }})
		k := c.Kind("thing:", format("v1"), newEntity(t, e).load)
		read(t, k)
		sync := func(at time.Duration) {
			t.Helper()
			now := e.Redis.Client.Time(t.Context()).Val().Add(at)
			e.Redis.Client.HSet(t.Context(), "wm:databases", strings.Repeat("0", 16), now.UnixMilli())
			for before := c.Stats().Syncs; c.Stats().Syncs == before; {
				e.AgeWatermark(t, 2*cache.MaxStaleness)
				read(t, k)
			}
		}
		sync(time.Second) // may be this database, before a failover
		if n := reports.Load(); n != 0 {
			t.Errorf("%d reports of a database that synced a second later, want none", n)
		}
		for range 3 {
			sync(time.Minute)
		}
		if n := reports.Load(); n != 1 {
			t.Errorf("%d reports of a database that goes on, want 1", n)
		}
	})
}

// A new secret makes all that was stored worthless, and processes learn it by themselves.
func TestNewSecret(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		x := newEntity(t, e)
		x.warm(t)
		old := x.Watermark(t)
		x.value.Add(1) // and the log does not name it
		x.AgeWatermark(t, 2*cache.MaxStaleness)
		x.OwnerExec(t, "UPDATE game.cache_key SET key = DEFAULT")
		x.wantRead(t, "with the new secret", 1, 1)
		if x.Watermark(t) == old {
			t.Fatalf("the watermark is still named %s", old)
		}
		read(t, x.kind)
		x.wantRead(t, "cached again", 1, 0)
	})
}

// A key of the cache that another program has set to something else is replaced.
func TestKeysOfAnotherType(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(*testing.T, *entity) string{
		"the watermark":         func(t *testing.T, x *entity) string { return x.Watermark(t) },
		"the lock of a sync":    func(t *testing.T, x *entity) string { return x.SyncLock(t) },
		"the list of databases": func(*testing.T, *entity) string { return "wm:databases" },
		"the entity":            func(_ *testing.T, x *entity) string { return x.key },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, set := range map[string]func(*testing.T, *entity, string){
				"string": func(t *testing.T, x *entity, key string) { x.Redis.Client.Set(t.Context(), key, "not ours", 0) },
				"list":   func(t *testing.T, x *entity, key string) { x.Redis.Client.RPush(t.Context(), key, "not ours") },
			} {
				t.Run(what, func(t *testing.T) {
					testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
						x := newEntity(t, e)
						x.warm(t)
						x.AgeWatermark(t, 2*cache.MaxStaleness) // the next read syncs
						e.Redis.Client.Del(t.Context(), key(t, x))
						set(t, x, key(t, x))
						hits := e.Program.Cache.Stats().Hits
						for range 1000 {
							if read(t, x.kind); e.Program.Cache.Stats().Hits > hits {
								return
							}
						}
						t.Error("1,000 reads without a hit")
					})
				})
			}
		})
	}
}

// With a prefix nothing outside of it is touched.
func TestKeyPrefix(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		const prefix = "game-eu:"
		x := newEntity(t, e)
		p := e.Open(t, func(o *app.Options) { o.RedisPrefix = prefix })
		x.kind = x.open(p, "v1")
		foreign := []string{x.key, "wm", x.Watermark(t), "thing:2"}
		for _, key := range foreign {
			e.Redis.Client.Set(t.Context(), key, "not ours", 0)
		}
		x.warm(t)
		p.Cache.SetPointer(t.Context(), "thing:name:", "x", "1")
		p.Cache.Invalidate(t.Context(), "thing:2")
		x.change(t)
		for before := p.Cache.Stats().Syncs; p.Cache.Stats().Syncs == before; {
			e.Redis.Client.HSet(t.Context(), prefix+x.Watermark(t), "t", 1)
			read(t, x.kind)
		}
		for _, key := range e.Redis.Client.Keys(t.Context(), "*").Val() {
			ours := strings.HasPrefix(key, prefix)
			if !ours && e.Redis.Client.Get(t.Context(), key).Val() != "not ours" {
				t.Errorf("%s was changed", key)
			}
			if !ours && !slices.Contains(foreign, key) {
				t.Errorf("%s is outside the prefix", key)
			}
		}
		if n := e.Redis.Client.Exists(t.Context(), foreign...).Val(); n != int64(len(foreign)) {
			t.Errorf("%d of %d keys of others are left", n, len(foreign))
		}
		if n := e.Redis.Client.Exists(t.Context(), prefix+x.key).Val(); n != 1 {
			t.Errorf("%s%s is not there", prefix, x.key)
		}
	})
}
