package systemtest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// redisTarget names the commands that a fault affects, and the calls that make the program send them.
type redisTarget struct {
	affects func(name string) bool
	prepare func(x *replies, t testing.TB, p *player)
	errors  bool // play all error replies, not only those that the client library handles
}

func redisTargets() map[string]redisTarget {
	warm := func(*replies, testing.TB, *player) {}
	return map[string]redisTarget{
		"all":     {func(string) bool { return true }, warm, true},
		"value":   {redisCommands("HGET"), warm, false},
		"clock":   {redisCommands("TIME"), warm, false},
		"lease":   {redisCommands("lease"), (*replies).forget, true},
		"fill":    {redisCommands("fill"), (*replies).forget, false},
		"begin":   {redisCommands("begin"), (*replies).ageWatermark, false},
		"now":     {redisCommands("now"), (*replies).ageWatermark, false},
		"apply":   {redisCommands("apply"), (*replies).ageWatermark, false},
		"delete":  {redisCommands("delete"), warm, true},
		"pointer": {redisCommands("GET", "SET"), warm, false},
	}
}

func redisCommands(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, strings.TrimSuffix(name, " EVAL")) }
}

// Redis gives wrong or missing replies. No request fails, no answer is wrong, no request sends a command twice, and the
// cache is used again when Redis works again. Each command gets every sixth reply; with the tag e2e it gets each.
func TestRedisReplies(t *testing.T) {
	t.Parallel()
	playRedisReplies(t, 6)
}

// playRedisReplies gives each command every nth reply. With n > 1 the commands begin at different replies.
func playRedisReplies(t *testing.T, nth int) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	targets := redisTargets()
	for i, name := range slices.Sorted(maps.Keys(targets)) {
		x := newReplies(t)
		all.Go(func() { x.playReplies(t, name, targets[name], i%nth, nth) })
	}
}

// playReplies plays every nth reply from the first. It leaves out what would only take time: the lock of a failed sync, which expires, and keys that
// are bypassed since an earlier failed delete. So each reply has a new player, made by a program that reaches Redis.
func (x *replies) playReplies(t *testing.T, name string, target redisTarget, first, nth int) {
	kinds := map[string]map[string]string{"error": redisErrorReplies, "odd": redisOddReplies, "broken": redisBrokenReplies}
	var last *player
	for kind, replies := range kinds {
		for i, what := range slices.Sorted(maps.Keys(replies)) {
			handled := slices.Contains([]string{"readonly", "noscript", "moved"}, what)
			if kind == "error" && !target.errors && !handled || i%nth != first && !handled {
				continue
			}
			last = newPlayer(t, x.direct)
			x.Redis.Client.Del(t.Context(), x.direct.SyncLock(t))
			x.playReply(t, fmt.Sprintf("%s answered with %s %q", name, kind, what), target, last, replies[what])
		}
	}
	wantHits(t, x.hits, x.clients, last) // also after the bypass and the lock
}

// replies is a program behind a relay.
type replies struct {
	*env
	direct *env // with a program that is not behind the relay
	relay  *redisRelay
	hits   func() uint64
}

func newReplies(t *testing.T) *replies {
	t.Helper()
	direct := start(t, testenv.RedisKinds()[0])
	relay := startRedisRelay(t, direct.Redis.Addr)
	p := relay.open(t, direct, testenv.RealRedisBudgets)
	return &replies{
		env: &env{direct.Env, serve(t, p)}, direct: direct, relay: relay, hits: func() uint64 { return p.Cache.Stats().Hits },
	}
}

// forget deletes the player's values from Redis.
func (x *replies) forget(_ testing.TB, p *player) {
	x.Redis.Client.Del(context.Background(), p.keys()...)
}

// ageWatermark makes the watermark old enough for a sync, but still valid for a hit.
func (x *replies) ageWatermark(t testing.TB, _ *player) {
	x.Redis.Client.Del(context.Background(), x.direct.SyncLock(t))
	x.direct.AgeWatermark(t, 300*time.Millisecond)
}

// playReply plays rounds with a cached player until the reply was given.
func (x *replies) playReply(t *testing.T, what string, target redisTarget, p *player, reply string) {
	x.forget(t, p) // including a lease without a fill
	wantHits(t, x.hits, x.clients, p)
	var given atomic.Int64
	rule := func(name string, ask func() []byte) ([]byte, bool) {
		if !target.affects(name) {
			return ask(), false
		}
		given.Add(1)
		return []byte(reply), false
	}
	y := &tally{}
	eventually(t, what, func() bool {
		target.prepare(x, t, p)
		x.relay.play(rule)
		x.roundOfOneTry(t, what, target, y, p)
		x.relay.play(nil)
		return given.Load() > 0 || t.Failed()
	})
	p.round(t, x.clients, y)
	y.want(t, what)
}

// roundOfOneTry is a round in which each request sends an affected command at most once. A hit is looked up again after a
// sync.
func (x *replies) roundOfOneTry(t *testing.T, what string, target redisTarget, y *tally, p *player) {
	for name, call := range map[string]func(testing.TB, *clients, *tally){
		"users": p.readUser, "save": p.save, "characters": p.readCharacter,
	} {
		x.relay.commands()
		calls := y.calls.Load()
		call(t, x.clients, y)
		requests := int(y.calls.Load() - calls)
		count := map[string]int{}
		for _, c := range x.relay.commands() {
			count[c]++
		}
		for c, n := range count {
			most := requests
			if c == "HMGET" || c == "HGET" || c == "TIME" {
				most += count["begin"] + count["begin EVAL"]
			}
			if n > most && c != "HELLO" && target.affects(c) {
				t.Errorf("%s: %s sent %d %s in %d requests", what, name, n, c, requests)
			}
		}
	}
}
