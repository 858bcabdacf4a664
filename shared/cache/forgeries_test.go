package cache_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// forger makes what an attacker could put into Redis. It has everything that was ever in there: honest values of other keys,
// kinds, formats, epochs, times and databases, and honest watermarks.
type forger struct {
	*rand.Rand
	own, format, secret, cluster *cache.Vault // this database; another format; databases with another secret, and another start
	key                          string       // of the value that is read
	now                          int64        // the clock of Redis
	watermark                    cache.Watermark
}

const oldEpoch = "0123456789abcdef"

func newForger(t testing.TB, database postgres.Changes, key string) *forger {
	t.Helper()
	vault := func(c postgres.Changes, format string) *cache.Vault {
		v, err := cache.NewVault(c, format, cache.DefaultTTL)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	secret, cluster := database, database
	secret.CacheKey = []byte(strings.Repeat("x", 32))
	cluster.Cluster += "1"
	return &forger{
		Rand: rand.New(rand.NewPCG(13, 4)), key: key,
		own: vault(database, "v1"), format: vault(database, "v2"), secret: vault(secret, "v1"), cluster: vault(cluster, "v1"),
	}
}

// at takes the moment of the next forgery: an honest watermark, and the clock of Redis.
func (f *forger) at(w cache.Watermark, now int64) { f.watermark, f.now = w, now }

func (f *forger) text() string { return strings.Repeat("9", 1+f.IntN(200)) }

func (f *forger) random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.Uint32())
	}
	return string(b)
}

// honest returns a value that a fill of the database has written for the key, within the last minute.
func (f *forger) honest(key string) string {
	return f.own.Seal(key, f.watermark.E, f.now-f.Int64N(60_000), f.text())
}

func (f *forger) flip(s string) string {
	b := []byte(s)
	b[f.IntN(len(b))] ^= 1 << f.IntN(8)
	return string(b)
}

// another returns an honest value of another key.
func (f *forger) another() string { return f.honest(fmt.Sprint(f.key, f.Uint32())) }

// values are forged values under an honest watermark.
var values = map[string]func(f *forger) string{
	"random":                   func(f *forger) string { return f.random(f.IntN(200)) },
	"random behind the epoch":  func(f *forger) string { return f.watermark.E + f.random(f.IntN(200)) },
	"in the clear":             func(f *forger) string { return f.watermark.E + f.text() },
	"a flipped bit":            func(f *forger) string { return f.flip(f.honest(f.key)) },
	"cut":                      func(f *forger) string { v := f.honest(f.key); return v[:f.IntN(len(v))] },
	"longer":                   func(f *forger) string { return f.honest(f.key) + f.random(1+f.IntN(20)) },
	"of another key":           func(f *forger) string { return f.another() },
	"of another kind":          func(f *forger) string { return f.honest("other:1") },
	"of another format":        func(f *forger) string { return f.format.Seal(f.key, f.watermark.E, f.now, f.text()) },
	"of another secret":        func(f *forger) string { return f.secret.Seal(f.key, f.watermark.E, f.now, f.text()) },
	"of another start":         func(f *forger) string { return f.cluster.Seal(f.key, f.watermark.E, f.now, f.text()) },
	"of another epoch":         func(f *forger) string { return f.own.Seal(f.key, oldEpoch, f.now, f.text()) },
	"of another epoch, behind": func(f *forger) string { return f.watermark.E + f.own.Seal(f.key, oldEpoch, f.now, f.text())[16:] },
	"too old": func(f *forger) string {
		return f.own.Seal(f.key, f.watermark.E, f.now-cache.DefaultTTL.Milliseconds()-1-f.Int64N(1e9), f.text())
	},
	"of the future": func(f *forger) string { return f.own.Seal(f.key, f.watermark.E, f.now+1_000+f.Int64N(1e9), f.text()) },
	"a later time of the fill": func(f *forger) string {
		v := []byte(f.own.Seal(f.key, f.watermark.E, f.now-cache.DefaultTTL.Milliseconds()-1-f.Int64N(1e9), f.text()))
		binary.BigEndian.PutUint64(v[16:], uint64(f.now))
		return string(v)
	},
	"a pointer": func(f *forger) string { return f.watermark.E + f.own.SealPointer(f.key, f.now, f.text()) },
	"of two": func(f *forger) string {
		one, two := f.honest(f.key), f.another()
		cut := 17 + f.IntN(min(len(one), len(two))-17)
		return one[:cut] + two[cut:]
	},
}

// watermarks are forged watermarks over an honest value, or none that is fresh.
var watermarks = map[string]func(f *forger) cache.Watermark{
	"a flipped bit": func(f *forger) cache.Watermark {
		w := f.watermark
		field := []*string{&w.T, &w.D, &w.E, &w.M}[f.IntN(4)]
		*field = f.flip(*field)
		return w
	},
	"another clock": func(f *forger) cache.Watermark {
		w := f.own.Stamp(f.now-2_000, f.watermark.S, f.watermark.E, f.now)
		w.T = fmt.Sprint(f.now - f.Int64N(1_000))
		return w
	},
	"too old": func(f *forger) cache.Watermark {
		return f.own.Stamp(f.now-1_001-f.Int64N(1e9), "1:1:", f.watermark.E, f.now)
	},
	"of the future": func(f *forger) cache.Watermark {
		return f.own.Stamp(f.now+1_000+f.Int64N(1e9), "1:1:", f.watermark.E, f.now)
	},
	"the other code": func(f *forger) cache.Watermark {
		w := f.watermark
		w.M, w.N = w.N, w.M
		return w
	},
	"of another secret": func(f *forger) cache.Watermark { return f.secret.Stamp(f.now, "1:1:", f.watermark.E, f.now) },
	"of another start":  func(f *forger) cache.Watermark { return f.cluster.Stamp(f.now, "1:1:", f.watermark.E, f.now) },
	"without a code": func(f *forger) cache.Watermark {
		w := f.watermark
		w.M, w.N = w.M[:f.IntN(len(w.M))], w.N[:f.IntN(len(w.N))]
		return w
	},
}

// snapshots are forged snapshots: a sync that believed one would skip changes.
var snapshots = map[string]func(f *forger, w *cache.Watermark){
	"another snapshot":  func(_ *forger, w *cache.Watermark) { w.S = "9999999:9999999:" },
	"another epoch":     func(_ *forger, w *cache.Watermark) { w.E = oldEpoch },
	"a flipped bit":     func(f *forger, w *cache.Watermark) { w.S = f.flip(w.S) },
	"the other code":    func(_ *forger, w *cache.Watermark) { w.N = w.M },
	"the clock, moved":  func(_ *forger, w *cache.Watermark) { w.S, w.N = w.T+"\x00"+w.E, w.M },
	"a long epoch":      func(_ *forger, w *cache.Watermark) { w.S, w.E, w.N = w.T, w.E+"\x00"+w.D, w.M },
	"a random code":     func(f *forger, w *cache.Watermark) { w.N = f.random(16) },
	"of another secret": func(f *forger, w *cache.Watermark) { *w = f.secret.Stamp(f.now, w.S, w.E, f.now) },
}

// pointers are forged pointers.
var pointers = map[string]func(f *forger) string{
	"random":             func(f *forger) string { return f.random(f.IntN(100)) },
	"a flipped bit":      func(f *forger) string { return f.flip(f.own.SealPointer(f.key, f.now, f.text())) },
	"cut":                func(f *forger) string { v := f.own.SealPointer(f.key, f.now, f.text()); return v[:f.IntN(len(v))] },
	"of another name":    func(f *forger) string { return f.own.SealPointer(fmt.Sprint(f.key, f.Uint32()), f.now, f.text()) },
	"of another secret":  func(f *forger) string { return f.secret.SealPointer(f.key, f.now, f.text()) },
	"an entity":          func(f *forger) string { return f.honest(f.key)[16:] },
	"an entity, all":     func(f *forger) string { return f.honest(f.key) },
	"in the clear":       func(*forger) string { return "lower:1" },
	"of another cluster": func(f *forger) string { return f.cluster.SealPointer(f.key, f.now, f.text()) },
}

// tryForgeries has n forgeries opened as reads and syncs open them. It returns how many were tried of each kind.
func tryForgeries(t *testing.T, n int) {
	t.Helper()
	database := postgres.Changes{Server: "1/2", Cluster: "1/2/3/4", CacheKey: []byte(strings.Repeat("k", 32))}
	f := newForger(t, database, "thing:1")
	kinds := f.kinds(t)
	names := slices.Sorted(maps.Keys(kinds))
	for i := range n {
		const begin = 1_790_000_000_000
		f.at(f.own.Stamp(begin+int64(i), "100:100:", "fedcba9876543210", begin), begin+int64(i)+f.Int64N(1_001))
		if i%1_000 == 0 {
			honest := f.honest(f.key)
			if _, hit := f.own.Hit(f.watermark, f.key, honest, f.now); !hit || !f.own.Resumes(f.watermark) {
				t.Fatalf("forgery %d: an honest value is no hit, or an honest snapshot does not count", i)
			}
		}
		if name := names[i%len(names)]; kinds[name]() {
			t.Fatalf("forgery %d was believed: %s", i, name)
		}
	}
	t.Logf("%d forgeries of %d kinds, and none was believed", n, len(names))
}

// kinds are all forgeries. Each reports whether it was believed.
func (f *forger) kinds(t *testing.T) map[string]func() bool {
	t.Helper()
	kinds := map[string]func() bool{}
	for name, forge := range values {
		kinds["value: "+name] = func() bool {
			_, hit := f.own.Hit(f.watermark, f.key, forge(f), f.now)
			return hit
		}
	}
	for name, forge := range watermarks {
		kinds["watermark: "+name] = func() bool {
			_, hit := f.own.Hit(forge(f), f.key, f.honest(f.key), f.now)
			return hit
		}
	}
	for name, forge := range snapshots {
		kinds["snapshot: "+name] = func() bool {
			w := f.watermark
			forge(f, &w)
			return f.own.Resumes(w)
		}
	}
	for name, forge := range pointers {
		kinds["pointer: "+name] = func() bool {
			_, ok := f.own.OpenPointer(f.key, forge(f))
			return ok
		}
	}
	return kinds
}

func TestForgeries(t *testing.T) {
	t.Parallel()
	tryForgeries(t, 50_000)
}

// TestForgeriesInRedis has reads find forged values in Redis. TestWatermarkUnderAttack has them find forged watermarks.
func TestForgeriesInRedis(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) { forgeInRedis(t, e, 300) })
}

func forgeInRedis(t *testing.T, e *testenv.Env, n int) {
	t.Helper()
	x := newEntity(t, e)
	x.value.Store(7)
	x.warm(t)
	changes, err := e.Program.DB.Changes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	f := newForger(t, changes, x.key)
	names, redis := slices.Sorted(maps.Keys(values)), e.Redis.Client
	wm, field := e.Watermark(t), f.own.Field()
	for i := range n {
		w := redis.HGetAll(t.Context(), wm).Val()
		f.at(cache.Watermark{T: w["t"], S: w["s"], E: w["e"], D: w["d"], M: w["m"], N: w["n"]}, redis.Time(t.Context()).Val().UnixMilli())
		name := names[i%len(names)]
		redis.HSet(t.Context(), x.key, field, values[name](f))
		if got := read(t, x.kind); got != 7 {
			t.Fatalf("forgery %d, %q: read %d, want 7 from the database", i, name, got)
		}
	}
}
