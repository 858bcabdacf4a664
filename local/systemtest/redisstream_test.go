package systemtest_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A connection ends after any byte of a reply. That request gets no hit, and the next one is not affected.
func TestRedisCutAfterEachByte(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]redisTarget{
		"hit":   {redisCommands("HMGET", "HGET", "TIME"), func(*replies, testing.TB, *player) {}, false},
		"lease": {redisCommands("lease"), (*replies).forget, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newReplies(t)
			p, other := newPlayer(t, x.env), newPlayer(t, x.env)
			y := &tally{}
			n, cut := 0, true
			for ; cut && !t.Failed(); n++ {
				eventually(t, fmt.Sprint("the cut after byte ", n), func() bool {
					target.prepare(x, t, p)
					var affected bool
					affected, cut = x.cutAfter(n, target.affects, func() { p.readID(t, x.clients, y) })
					other.readID(t, x.clients, y)
					return affected
				})
			}
			y.want(t, "cut connections")
			if n < 60 {
				t.Errorf("%d cuts, want one after each byte", n)
			}
			wantHits(t, x.hits, x.clients, p, other)
		})
	}
}

// cutAfter passes n bytes of replies to the commands while f runs, and then ends the connection.
func (x *replies) cutAfter(n int, affects func(string) bool, f func()) (affected, cut bool) {
	var mu sync.Mutex
	x.relay.play(func(name string, ask func() []byte) ([]byte, bool) {
		reply := ask()
		mu.Lock()
		defer mu.Unlock()
		if !affects(name) || cut {
			return reply, false
		}
		affected = true
		if len(reply) <= n {
			n -= len(reply)
			return reply, false
		}
		cut = true
		return reply[:n], true
	})
	f()
	x.relay.play(nil)
	mu.Lock()
	defer mu.Unlock()
	return affected, cut
}

// readID makes one GetUser.
func (p *player) readID(t testing.TB, c *clients, y *tally) {
	if a, ok := counted(t, y, "GetUser", c.users.GetUser, &databasev1.GetUserRequest{UserId: p.id}); ok {
		y.right(t, "GetUser", a.User.Id+" "+a.User.Name, p.id+" "+p.shown)
	}
}

// Replies may arrive byte by byte.
func TestRedisByteByByte(t *testing.T) {
	t.Parallel()
	e := start(t, testenv.RedisKinds()[0])
	relay := startRedisRelay(t, e.Redis.Addr)
	relay.bytewise.Store(true)
	program := relay.open(t, e)
	e.clients = serve(t, program)
	players, y := newPlayers(t, e, 4), &tally{}
	playAll(t, e.clients, y, players, 3)
	y.want(t, "byte by byte")
	// On a machine that is too slow, the calls to Redis of a late request end with errors.
	if s := program.Cache.Stats(); s.Hits == 0 || y.slow.Load() == 0 && s.RedisErrors+s.FailedDeletes > 0 {
		t.Errorf("%+v, want hits and no errors", s)
	}
}

// Replies of another request come first on a connection. They are not used for this request.
func TestRedisRepliesOfOthers(t *testing.T) {
	t.Parallel()
	x := newReplies(t)
	players, y := newPlayers(t, x.env, 8), &tally{}
	wantHits(t, x.hits, x.clients, players...)
	m := &mixer{}
	x.relay.play(m.answer)
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() {
			for range 30 {
				p.readUser(t, x.clients, y)
			}
		})
	}
	all.Wait()
	x.relay.play(nil)
	y.want(t, "replies of others")
	if m.mixed == 0 {
		t.Error("no connection had replies of another request")
	}
	wantHits(t, x.hits, x.clients, players...)
}

// mixer puts the replies of another request before those of this one.
type mixer struct {
	mu              sync.Mutex
	pipeline        string // the replies to a hit, so far
	hit, get, lease string // the last replies to a hit, a GET and a lease
	mixed           int
}

func (m *mixer) answer(name string, ask func() []byte) ([]byte, bool) {
	reply := string(ask())
	m.mu.Lock()
	defer m.mu.Unlock()
	first := ""
	switch name {
	case "HMGET":
		first, m.pipeline = m.hit, reply
	case "HGET":
		m.pipeline += reply
	case "TIME":
		m.hit = m.pipeline + reply
	case "GET":
		first, m.get = m.get, reply
	case "lease":
		first, m.lease = m.lease, reply
	}
	if first != "" {
		m.mixed++
	}
	return []byte(first + reply), false
}

// A reply is missing or doubled. That request gets no hit, and the connection is not used again.
func TestRedisRepliesMissingOrDoubled(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(reply []byte) []byte{
		"missing": func([]byte) []byte { return nil },
		"doubled": func(reply []byte) []byte { return append(reply, reply...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newReplies(t)
			players, y := newPlayers(t, x.env, 4), &tally{}
			wantHits(t, x.hits, x.clients, players...)
			var n atomic.Int64
			x.relay.play(func(name string, ask func() []byte) ([]byte, bool) {
				reply := ask()
				if n.Add(1)%5 == 0 && name != "HELLO" {
					return change(reply), false
				}
				return reply, false
			})
			playAll(t, x.clients, y, players, 6)
			x.relay.play(nil)
			playAll(t, x.clients, y, players, 1)
			y.want(t, name)
			wantHits(t, x.hits, x.clients, players...)
		})
	}
}

// Redis refuses new clients with an error and closes their connections.
func TestRedisMaxClients(t *testing.T) {
	t.Parallel()
	x := newReplies(t)
	players, y := newPlayers(t, x.env, 4), &tally{}
	wantHits(t, x.hits, x.clients, players...)
	full := "-ERR max number of clients reached\r\n"
	x.relay.welcome.Store(&full)
	x.relay.drop()
	playAll(t, x.clients, y, players, 3)
	x.relay.welcome.Store(nil)
	y.want(t, "no more clients")
	wantHits(t, x.hits, x.clients, players...)
}

// Redis has lost its scripts. It gets the text of each once.
func TestRedisLostScripts(t *testing.T) {
	t.Parallel()
	x := newReplies(t)
	p, y := newPlayer(t, x.env), &tally{}
	wantHits(t, x.hits, x.clients, p)
	x.forget(t, p)
	x.ageWatermark(t, p)
	x.relay.commands()
	x.relay.play(func(name string, ask func() []byte) ([]byte, bool) {
		if redisCommands("lease", "fill", "begin", "now", "apply")(name) && !strings.HasSuffix(name, " EVAL") {
			return []byte(redisErrorReplies["noscript"]), false
		}
		return ask(), false
	})
	wantHits(t, x.hits, x.clients, p)
	count := map[string]int{}
	for _, c := range x.relay.commands() {
		count[c]++
	}
	y.right(t, "lease and begin by text", count["lease EVAL"] > 0 && count["begin EVAL"] > 0, true)
	for _, script := range []string{"lease", "fill", "begin", "now", "apply"} {
		if count[script] != count[script+" EVAL"] {
			t.Errorf("%s: %d by digest and %d by text, want equal numbers", script, count[script], count[script+" EVAL"])
		}
	}
}
