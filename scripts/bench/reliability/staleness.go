package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	bound    = time.Second            // cache.MaxStaleness
	p99Bound = 300 * time.Millisecond // without faults
	goalRead = 1_000_000              // reads of each kind that is counted

	// recovery is how long a request may still fail after PostgreSQL accepts connections again: a request that started
	// before takes up to 1 s.
	recovery = time.Second
	warmUp   = 2 * time.Second
)

// runStaleness runs readers, writers through the service and writers that bypass it (the web application) on a few
// entities and two processes: first without faults, then with all faults except failovers of Redis, then with all.
func runStaleness(ctx context.Context, w *world) (s section, err error) {
	var processes []*process
	for range 2 {
		p, err := w.start(ctx)
		if err != nil {
			return section{}, err
		}
		processes = append(processes, p)
	}
	l := newLoad(w, processes)
	i, err := newInjector(ctx, w, processes, l.start)
	if err != nil {
		return section{}, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	n := w.count(goalRead)
	phases := i.phases(n)
	if err := l.play(ctx, i, phases); err != nil {
		return section{}, err
	}
	return l.section(i, phases, n)
}

// phases returns the phases without faults, with some and with all. If the machine is too slow for the counts of the
// goals, the phases with faults take longer than planned.
func (i *injector) phases(n int) []*phase {
	seconds := time.Duration(i.w.options.seconds) * time.Second
	if i.w.quick {
		seconds = min(seconds, time.Minute)
	}
	calm, partial, all := &phase{tally: &tally{name: "without faults"}}, &phase{tally: &tally{name: "with faults, no failover of Redis"}}, &phase{tally: &tally{name: "with all faults"}}
	calm.most = seconds * 2 / 5
	calm.enough = func() bool { return calm.ownReads() >= n }
	partial.least, partial.most = seconds/6, seconds*3/5
	partial.enough = func() bool { return partial.reads() >= n/2 && calm.ownReads()+partial.ownReads() >= n }
	partial.faults = i.faults(redisFault, postgresFault)
	all.least, all.most = seconds/6, seconds*3/5
	all.enough = func() bool { return partial.reads()+all.reads() >= n }
	all.faults = i.faults(redisFault, failoverFault, postgresFault)
	return []*phase{calm, partial, all}
}

// phase is a part of the run with the same kinds of faults, or without.
type phase struct {
	*tally
	least, most time.Duration
	enough      func() bool
	faults      []fault
}

// play runs the phases under load.
func (l *load) play(ctx context.Context, i *injector, phases []*phase) error {
	l.phase.Store(&tally{}) // not judged: the programs open all their connections
	loading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(loading) })
	defer wg.Wait()
	defer stop()
	testbed.Pause(ctx, warmUp)
	for _, p := range phases {
		log.Print(p.name)
		if err := l.playOne(ctx, i, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) playOne(ctx context.Context, i *injector, p *phase) error {
	playing, stop := context.WithTimeout(ctx, p.most)
	defer stop()
	p.from = time.Since(l.start)
	l.phase.Store(p.tally)
	injected := make(chan error, 1)
	go func() {
		if p.faults == nil {
			injected <- nil
			return
		}
		injected <- i.run(playing, p.faults)
		stop() // after an error there is nothing to measure
	}()
	for (time.Since(l.start)-p.from < p.least || !p.enough()) && testbed.Pause(playing, 20*time.Millisecond) {
	}
	stop()
	err := <-injected
	p.to = time.Since(l.start)
	return errors.Join(err, ctx.Err())
}
