package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	killLoad     = 16                    // readers
	killBefore   = 3 * time.Second       // load before Redis is killed
	killDown     = 3 * time.Second       // without Redis
	killAfter    = 6 * time.Second       // with Redis restarted, empty
	killPoll     = 20 * time.Millisecond // resolution of the time until the first hit
	maxHitsAgain = 5 * time.Second
)

// reads counts the requests of the load.
type reads struct {
	all, failed, slowest atomic.Int64 // slowest in ns
	first                atomic.Pointer[string]
}

func (r *reads) add(took time.Duration, err error) {
	r.all.Add(1)
	for old := r.slowest.Load(); int64(took) > old && !r.slowest.CompareAndSwap(old, int64(took)); old = r.slowest.Load() {
	}
	if err != nil {
		text := err.Error()
		r.first.CompareAndSwap(nil, &text)
		r.failed.Add(1)
	}
}

func runRedisKill(ctx context.Context, w *world, _ options) (section, error) {
	s := section{title: "Redis killed under load", head: []string{"phase", "seconds", "reads", "failed", "hits", "from the database", "slowest ms"}}
	if err := testbed.HaveRedis(); err != nil {
		s.note("Not measured: %v.", err)
		return s, nil
	}
	p, err := startServer(w, addresses{}, killLoad)
	if err != nil {
		return s, err
	}
	defer p.stop()
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	var r reads
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = spread(loadCtx, killLoad, 1<<40, timed(&r, mixedReads(w, p)))
	}()
	again, err := killPhases(ctx, &s, w, p, &r)
	stop()
	<-done
	if err != nil {
		return s, err
	}
	s.note("Failed reads in total: %d (goal 0: %s). The first hit came %v after Redis answered again (goal: under %v: %s). Nine of ten reads were hits after %v.",
		r.failed.Load(), held(r.failed.Load() == 0), again.first.Round(time.Millisecond), maxHitsAgain, held(again.first < maxHitsAgain), again.most.Round(time.Millisecond))
	if e := r.first.Load(); e != nil {
		s.note("The first failure: %s", *e)
	}
	if r.failed.Load() > 0 || again.first >= maxHitsAgain {
		return s, errMissed
	}
	return s, nil
}

func timed(r *reads, do call) call {
	return func(ctx context.Context, i int) error {
		start := time.Now()
		err := do(ctx, i)
		if ctx.Err() == nil { // otherwise the load has ended
			r.add(time.Since(start), err)
		}
		return nil
	}
}

// mixedReads reads users, characters and lists in turn, a few hundred of each.
func mixedReads(w *world, p *process) call {
	users, characters := p.users(stack), p.characters(stack)
	return func(ctx context.Context, i int) error {
		n := i * 7919 % 500
		var err error
		switch i % 3 {
		case 0:
			_, err = users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[n]})
		case 1:
			_, err = characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: w.characters[n]})
		default:
			_, err = characters.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: w.users[n]})
		}
		return err
	}
}

// hitsAgain is the time from the first answer of Redis to the first hit, and to nine hits in ten reads.
type hitsAgain struct{ first, most time.Duration }

func killPhases(ctx context.Context, s *section, w *world, p *process, r *reads) (again hitsAgain, err error) {
	phase := func(name string, f func() error) {
		if err != nil {
			return
		}
		var before, after usage
		reads, failed, start := r.all.Load(), r.failed.Load(), time.Now()
		r.slowest.Store(0)
		if before, err = p.usage(ctx); err != nil {
			return
		}
		if err = f(); err != nil {
			return
		}
		after, err = p.usage(ctx)
		hits := after.Cache.Hits - before.Cache.Hits
		s.row(name, fmt.Sprintf("%.1f", time.Since(start).Seconds()), r.all.Load()-reads, r.failed.Load()-failed, hits,
			misses(after)-misses(before), fmt.Sprintf("%.0f", float64(r.slowest.Load())/1e6))
	}
	phase("with Redis", func() error { return wait(ctx, killBefore) })
	phase("killed", func() error {
		if err := w.Redis.Kill(); err != nil {
			return err
		}
		return wait(ctx, killDown)
	})
	phase("started again", func() error {
		if err := w.Redis.Launch(ctx); err != nil {
			return err
		}
		again, err = awaitHits(ctx, p)
		return err
	})
	return again, err
}

func wait(ctx context.Context, d time.Duration) error {
	if !testbed.Pause(ctx, d) {
		return ctx.Err()
	}
	return nil
}

func misses(u usage) uint64 { return u.Cache.Misses + u.Cache.Untrusted + u.Cache.Bypassed }

// awaitHits polls the server's cache statistics for killAfter.
func awaitHits(ctx context.Context, p *process) (again hitsAgain, err error) {
	again = hitsAgain{killAfter, killAfter}
	start := time.Now()
	last, err := p.usage(ctx)
	for err == nil && time.Since(start) < killAfter && testbed.Pause(ctx, killPoll) {
		var u usage
		u, err = p.usage(ctx)
		hits, lost := u.Cache.Hits-last.Cache.Hits, misses(u)-misses(last)
		if hits > 0 {
			again.first = min(again.first, time.Since(start))
		}
		if hits > 9*lost {
			again.most = min(again.most, time.Since(start))
		}
		last = u
	}
	return again, err
}
