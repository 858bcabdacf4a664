package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"
)

const (
	goalRefusals   = 100_000 // calls that start after the commit
	sessionWorkers = 4       // revocations at a time
	callsAfter     = 10      // for each kind and process, after each revocation
	leastFaulty    = 8 * time.Second
)

// runSessions revokes sessions and bans users, as a web application does, while callers use and refresh those sessions.
// The service must refuse every call that starts after the commit.
func runSessions(ctx context.Context, w *world) (s section, err error) {
	s.title = "Sessions"
	var processes []*process
	for range 2 {
		p, err := w.start(ctx)
		if err != nil {
			return s, err
		}
		processes = append(processes, p)
	}
	start := time.Now()
	i, err := newInjector(ctx, w, processes, start)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	n := w.count(goalRefusals)
	calm, faulty := &visits{name: "calm", w: w, processes: processes}, &visits{name: "faulty", w: w, processes: processes}
	if err := calm.play(ctx, n/2, 0); err != nil {
		return s, err
	}
	injecting, stop := context.WithCancel(ctx)
	injected := make(chan error, 1)
	go func() { injected <- i.run(injecting, i.faults(redisFault, failoverFault)) }()
	err = faulty.play(ctx, n-n/2, leastFaulty)
	stop()
	if err := errors.Join(err, <-injected); err != nil {
		return s, err
	}
	reportSessions(&s, calm, faulty, len(i.events), n)
	return s, nil
}

func reportSessions(s *section, calm, faulty *visits, faults, n int) {
	let, all := calm.let.Load()+faulty.let.Load(), calm.after.Load()+faulty.after.Load()
	s.add("calls, started after the commit, that accepted a revoked session or reported a banned user as not banned", "0 of "+thousands(n),
		fmt.Sprintf("%d of %s, %s of them under %d faults of Redis", let, thousands(int(all)), thousands(int(faulty.after.Load())), faults), let == 0 && all >= int64(n))
	failed := calm.failed.Load() + faulty.failed.Load()
	s.add("calls about sessions that failed", "0", fmt.Sprintf("%d of %s", failed, thousands(int(calm.calls.Load()+faulty.calls.Load()))), failed == 0)
	rows := [][]string{}
	for i, d := range []*visits{calm, faulty} {
		rows = append(rows, []string{[]string{"without faults", "with faults of Redis"}[i], thousands(int(d.calls.Load())), thousands(int(d.after.Load())),
			thousands(int(d.refreshed.Load())), fmt.Sprint(d.ended[byDelete].Load()), fmt.Sprint(d.ended[byExpiry].Load()), fmt.Sprint(d.ended[byBan].Load()),
			fmt.Sprint(d.let.Load()), fmt.Sprint(d.failed.Load())})
	}
	s.table([]string{"phase", "calls", "after the commit", "refreshes written", "deleted", "expired", "banned", "wrongly accepted", "failed"}, rows)
	s.note("GetSession, GetUserBySession and RefreshSession ask for each session at the same time, through both processes, before, while and after the " +
		"web application deletes it, sets its expiry to now, or bans its user. Meanwhile the application changes the expiry, so that every refresh " +
		"has something to write. GetSession does not count for a banned user: it does not report bans, and the session is still live. A call counts " +
		"as started after the commit if the application had the answer to its COMMIT before the call was sent.")
	for _, d := range []*visits{calm, faulty} {
		for _, text := range []*atomic.Pointer[string]{&d.firstLet, &d.firstFailed} {
			if t := text.Load(); t != nil {
				s.note("The first: %s", *t)
			}
		}
	}
}

// visits counts the calls, and those that the service accepted.
type visits struct {
	name      string
	w         *world
	processes []*process

	calls, after, let, failed, refreshed atomic.Int64
	ended                                [waysToEnd]atomic.Int64
	firstLet, firstFailed                atomic.Pointer[string]
	serial                               atomic.Int64
}

// play ends sessions until n calls have started after such an end, and for at least that long.
func (d *visits) play(ctx context.Context, n int, least time.Duration) error {
	began := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for i := range sessionWorkers {
		wg.Go(func() {
			for k := i; (d.after.Load() < int64(n) || time.Since(began) < least) && ctx.Err() == nil; k++ {
				if err := d.round(ctx, k%waysToEnd); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	log.Printf("%d calls after a commit", d.after.Load())
	return context.Cause(ctx)
}

// round is the life of one session.
func (d *visits) round(ctx context.Context, how int) error {
	id := fmt.Sprintf("%s-%d", d.name, d.serial.Add(1))
	v := &visitor{visits: d, how: how, user: "visitor-" + id, token: fmt.Sprintf("token-%s-%032d", id, 0)[:32]}
	if err := v.enter(ctx); err != nil {
		return err
	}
	asking := context.WithoutCancel(ctx) // a canceled call would count as failed
	var wg sync.WaitGroup
	for _, p := range d.processes {
		for _, q := range v.questions() {
			wg.Go(func() { v.keepAsking(asking, p, q) })
		}
	}
	err := v.leave(ctx)
	wg.Wait()
	if err == nil {
		d.ended[how].Add(1)
	}
	return err
}
