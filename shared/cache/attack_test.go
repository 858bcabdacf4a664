package cache_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// attacker can do everything in Redis, and knows nothing of the database.
type attacker struct {
	*entity
	redis    *redis.Client
	wm       string
	honest   []map[string]string // watermarks from before the change, the oldest first
	snapshot string              // of the database after the change: what an attacker would like to have as s
	clock    func() int64        // of Redis, ms
	advance  func()              // moves that clock, if it is not a real one
}

const attackStep = 50 * time.Millisecond

// newAttacker fills the cache and records some watermarks.
func newAttacker(t *testing.T, kind string, changes ...func(*app.Options)) *attacker {
	t.Helper()
	e := testenv.New(t, testenv.Variants[0], kind, changes...)
	a := &attacker{redis: e.Redis.Client, advance: func() {}}
	a.clock = func() int64 { return a.redis.Time(context.Background()).Val().UnixMilli() }
	if e.Redis.Mini != nil {
		start := time.Now()
		var passed atomic.Int64
		now := func() time.Time { return start.Add(time.Duration(passed.Load())) }
		e.Redis.Mini.SetTime(now())
		e.Program.Cache.SetNow(now)
		a.clock = func() int64 { return now().UnixMilli() }
		a.advance = func() {
			passed.Add(int64(attackStep))
			e.Redis.Mini.SetTime(now())
		}
	}
	a.entity = newEntity(t, e)
	a.wm = e.Watermark(t)
	for len(a.honest) < 4 && t.Context().Err() == nil {
		read(t, a.kind)
		w := a.redis.HGetAll(t.Context(), a.wm).Val()
		if n := len(a.honest); w["t"] != "" && (n == 0 || a.honest[n-1]["t"] != w["t"]) {
			a.honest = append(a.honest, w)
		}
		a.advance()
	}
	return a
}

// set writes fields of the watermark.
func (a *attacker) set(fields map[string]string) {
	a.redis.HSet(context.Background(), a.wm, fields)
}

// other makes key a value of another type.
func (a *attacker) other(key string) {
	a.redis.Del(context.Background(), key)
	a.redis.RPush(context.Background(), key, "garbage")
}

func (a *attacker) ago(ms int64) string { return strconv.FormatInt(a.clock()-ms, 10) }

// pick returns some fields of a watermark.
func pick(w map[string]string, fields ...string) map[string]string {
	picked := map[string]string{}
	for _, f := range fields {
		picked[f] = w[f]
	}
	return picked
}

// attacks are what an attacker does to the watermark, again and again.
var attacks = map[string]func(a *attacker, n int){
	"kept young":           func(a *attacker, _ int) { a.set(map[string]string{"t": a.ago(0)}) },
	"kept young with d":    func(a *attacker, _ int) { a.set(map[string]string{"t": a.ago(0), "d": a.ago(0)}) },
	"moved forward":        func(a *attacker, _ int) { a.set(map[string]string{"t": a.ago(-10_000)}) },
	"moved a little ahead": func(a *attacker, _ int) { a.set(map[string]string{"t": a.ago(-5)}) },
	"moved back":           func(a *attacker, _ int) { a.set(map[string]string{"t": a.ago(10_000)}) },
	"frozen as before the change": func(a *attacker, _ int) {
		a.set(a.honest[len(a.honest)-1])
	},
	"frozen and kept young": func(a *attacker, _ int) {
		w := maps.Clone(a.honest[len(a.honest)-1])
		w["t"] = a.ago(0)
		a.set(w)
	},
	"an older honest one":            func(a *attacker, n int) { a.set(a.honest[n%len(a.honest)]) },
	"an older honest snapshot":       func(a *attacker, n int) { a.set(pick(a.honest[n%len(a.honest)], "s", "e", "n")) },
	"an older honest clock":          func(a *attacker, n int) { a.set(pick(a.honest[n%len(a.honest)], "t", "e", "d", "m")) },
	"the codes of t and s exchanged": func(a *attacker, n int) { a.set(map[string]string{"m": a.honest[0]["n"], "n": a.honest[0]["m"]}) },
	"a snapshot that skips the change": func(a *attacker, _ int) {
		a.set(map[string]string{"s": a.snapshot, "t": a.ago(0)})
	},
	"only a snapshot that skips the change": func(a *attacker, _ int) { a.set(map[string]string{"s": a.snapshot}) },
	"deleted":                               func(a *attacker, _ int) { a.redis.Del(context.Background(), a.wm) },
	"garbage": func(a *attacker, n int) {
		fields := []string{"t", "s", "e", "d", "m", "n"}
		a.set(map[string]string{fields[n%len(fields)]: everyAttack(n)})
	},
	"no number": func(a *attacker, n int) {
		a.set(map[string]string{"t": []string{"nan", "inf", "-inf", "1e308", "0x10", " 1", "-0", "18446744073709551616"}[n%8]})
	},
	"of another type": func(a *attacker, _ int) { a.other(a.wm) },
	"the lock held": func(a *attacker, _ int) {
		a.redis.Set(context.Background(), a.wm+":lock", "x", time.Hour)
	},
	"the lock of another type": func(a *attacker, _ int) { a.other(a.wm + ":lock") },
	"the list of databases of another type": func(a *attacker, _ int) {
		a.other("wm:databases")
	},
	"garbage in the list of databases": func(a *attacker, n int) {
		a.redis.HSet(context.Background(), "wm:databases", "x", everyAttack(n), everyAttack(n), a.ago(0))
	},
	"without an end": func(a *attacker, _ int) { a.redis.Persist(context.Background(), a.wm) },
}

// everyAttack returns a different word for each n, for example one that is no number.
func everyAttack(n int) string {
	return []string{"", "garbage", "nan", "\x00", "9", "-1", "\xff\xfe", fmt.Sprint(1 << 62)}[n%8]
}

// Whatever is done to the watermark, a read that begins 1 s after a commit returns it. When the attack ends, the cache works
// again. With the tag e2e each attack is also played against redis-server, at all times.
func TestWatermarkUnderAttack(t *testing.T) {
	t.Parallel()
	for name := range attacks {
		playAttack(t, name, "miniredis")
	}
	if hasRedisServer() {
		for _, name := range []string{"kept young", "frozen as before the change", "a snapshot that skips the change"} {
			playAttack(t, name, "redis-server")
		}
	}
}

func playAttack(t *testing.T, name, redisKind string) {
	t.Helper()
	t.Run(name+"/"+redisKind, func(t *testing.T) {
		t.Parallel()
		newAttacker(t, redisKind).run(t, attacks[name])
	})
}

func (a *attacker) run(t *testing.T, attack func(*attacker, int)) {
	t.Helper()
	a.change(t)
	committed := a.clock()
	if err := a.Owner.QueryRow(t.Context(), "SELECT pg_current_snapshot()::text").Scan(&a.snapshot); err != nil {
		t.Fatal(err)
	}
	stop := a.meanwhile(attack)
	late := 0
	for n := 0; late < 5 && t.Context().Err() == nil; n++ {
		a.advance()
		attack(a, n)
		began := a.clock()
		got := read(t, a.kind)
		if began <= committed+cache.MaxStaleness.Milliseconds() {
			continue
		}
		late++
		if got != a.value.Load() {
			t.Errorf("a read that began %d ms after the commit of %d returned %d", began-committed, a.value.Load(), got)
		}
	}
	stop()
	// The last sync under attack may have left its lock, and the last miss its lease.
	b := testenv.Budgets().Redis
	heals := 2 * (b.Lock + b.Lease).Milliseconds()
	before, ended := a.Program.Cache.Stats(), a.clock()
	for s := before; s.Hits < before.Hits+3 || s.Syncs < before.Syncs+2; s = a.Program.Cache.Stats() {
		if a.clock() > ended+heals {
			t.Fatalf("%d ms after the attack: %+v, after %+v at its end", heals, s, before)
		}
		a.advance()
		if got := read(t, a.kind); got != a.value.Load() {
			t.Fatalf("after the attack: read %d, want %d", got, a.value.Load())
		}
	}
}

// meanwhile repeats the attack at all times if the clock is a real one. It returns a function that ends it.
func (a *attacker) meanwhile(attack func(*attacker, int)) (stop func()) {
	if a.Redis.Mini != nil {
		return func() {}
	}
	var ended atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; !ended.Load(); n++ {
			attack(a, n)
		}
	})
	return func() {
		ended.Store(true)
		running.Wait()
	}
}
