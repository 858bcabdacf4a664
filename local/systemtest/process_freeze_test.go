package systemtest_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
)

// A process is frozen until its connections die. Meanwhile another process saves and the web application makes a change. The
// process then answers its next requests correctly.
func TestProcessFrozenAndResumed(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		p, y := startProcess(t, e), &tally{}
		players := newPlayers(t, e, 4)
		playAll(t, p.clients, y, players, 3)
		for _, dead := range []bool{false, true} {
			p.freeze(t)
			for _, who := range players {
				who.save(t, e.clients, y)
				who.shown = newName()
				e.WebExec(t, `UPDATE {user} SET [name] = $1 WHERE id = $2`, who.shown, who.id)
			}
			untilStale(time.Now())
			if dead {
				p.postgres.Silence()
				p.redis.Silence()
			}
			p.resume(t)
			var all sync.WaitGroup
			for _, who := range players {
				all.Go(func() {
					who.readCharacter(t, p.clients, y)
					who.readUser(t, p.clients, y)
					who.round(t, p.clients, y)
				})
			}
			all.Wait()
		}
		y.want(t, "frozen and resumed")
	})
}

// untilStale waits until the bound allows no value from before changed. The clocks of a process cannot be set from outside.
func untilStale(changed time.Time) {
	for time.Since(changed) <= cache.MaxStaleness {
		time.Sleep(10 * time.Millisecond)
	}
}

// A process is frozen while it serves a request. When it then answers, the value is at most 1 s old, because the request's
// real budget bounds the age.
func TestProcessFrozenInside(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, e *env) {
		for name, hold := range map[string]func(p *process, who *player, held func()){
			"before the database answers": func(p *process, who *player, held func()) {
				p.postgres.OnSend(holdOnce(p.postgres.Hold, held, who.id))
			},
			"before it fills": func(p *process, who *player, held func()) {
				p.redis.OnSend(holdOnce(p.redis.Hold, held, fillCall))
			},
		} {
			p, who := startProcess(t, e, realBudgets), newPlayer(t, e)
			who.readSession(t, p.clients, &tally{})
			inside := make(chan struct{})
			hold(p, who, func() { close(inside) })
			answer := make(chan frozenAnswer, 1)
			ask := func() {
				q := &databasev1.GetCharacterListRequest{UserId: who.id}
				a, err := p.characters.GetCharacterList(t.Context(), q)
				answer <- frozenAnswer{a.GetCharacters(), err}
			}
			go ask()
			for held := false; !held; {
				select {
				case <-inside:
					held = true
				case a := <-answer:
					select {
					case <-inside:
						answer <- a
					default: // on a busy machine Redis may answer late, and then nothing is filled
						go ask()
					}
				}
			}
			p.freeze(t)
			y := &tally{}
			who.save(t, e.clients, y)
			untilStale(time.Now())
			p.resume(t)
			p.postgres.Release()
			p.redis.Release()
			if a := <-answer; a.err == nil && a.list[0].Money != who.money {
				t.Errorf("%s: answered a save late, with money %d, want %d or an error", name, a.list[0].Money, who.money)
			} else if code := faultOf(a.err).code; a.err != nil && code != "unavailable" && code != "deadline_exceeded" {
				t.Errorf("%s: %v", name, a.err)
			}
			y.want(t, name)
			eventually(t, "a round in time", func() bool {
				y := &tally{}
				who.round(t, p.clients, y)
				return y.slow.Load() == 0 || t.Failed()
			})
		}
	})
}

// fillCall begins the call of the fill script: only it has 6 arguments after its 2 keys.
const fillCall = "*11\r\n$7\r\nevalsha\r\n"

type frozenAnswer struct {
	list []*databasev1.Character
	err  error
}

// holdOnce holds traffic from the first sent chunk that contains text.
func holdOnce(hold, held func(), text string) func([]byte) {
	var once sync.Once
	return func(chunk []byte) {
		if bytes.Contains(chunk, []byte(text)) {
			once.Do(func() {
				hold()
				held()
			})
		}
	}
}
