package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

// fault is one kind of failure. inject returns after the recovery.
type fault struct {
	name    string
	kind    faultKind
	prepare func(ctx context.Context) error // has no effect on callers; may be nil
	inject  func(ctx context.Context) error
}

type faultKind int

const (
	redisFault    faultKind = iota
	failoverFault           // of Redis, which loses acknowledged writes
	postgresFault
)

// event is a fault that was injected. Its times count from the start of the injector.
type event struct {
	fault
	from, to time.Duration
}

// injector injects faults into a world and its processes, one after the other.
type injector struct {
	w         *world
	processes []*process
	random    *rand.Rand
	start     time.Time
	replica   *testbed.Redis
	link      *faultproxy.Proxy // from the replica to the primary, which is world.redis
	standbys  []*standby
	events    []event
}

// newInjector starts a second Redis, which a failover promotes.
func newInjector(ctx context.Context, w *world, processes []*process, start time.Time) (*injector, error) {
	i := &injector{w: w, processes: processes, random: rand.New(rand.NewPCG(w.seed, 0)), start: start}
	var err error
	if i.replica, err = w.NewRedis(ctx); err != nil {
		return nil, err
	}
	i.link, err = faultproxy.New(w.Redis.Addr)
	return i, err
}

func (i *injector) close() error {
	i.link.Close()
	var errs []error
	for _, s := range i.standbys {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// faults returns all faults of those kinds.
func (i *injector) faults(kinds ...faultKind) []fault {
	var chosen []fault
	for _, f := range []fault{
		{"FLUSHALL", redisFault, nil, i.flush},
		{"DEL of a random key", redisFault, nil, i.deleteRandom},
		{"DEL of the watermark", redisFault, nil, i.deleteKeys("wm:????????????????")},
		{"DEL of the lock of a sync", redisFault, nil, i.deleteKeys("wm:*:lock")},
		{"Redis hangs for one process", redisFault, nil, i.hold(1)},
		{"Redis hangs for all", redisFault, nil, i.hold(len(i.processes))},
		{"connections to Redis reset", redisFault, nil, i.reset},
		{"connections to Redis silently dead", redisFault, nil, i.silence},
		{"Redis killed, back empty", redisFault, nil, i.restartRedis},
		{"failover that loses writes", failoverFault, i.replicate, i.failover},
		{"split brain", failoverFault, i.replicate, i.splitBrain},
		{"PostgreSQL restarted", postgresFault, nil, i.restartPostgres},
		{"PostgreSQL crashed", postgresFault, nil, i.crashPostgres},
		{"standby of PostgreSQL promoted", postgresFault, i.makeStandby, i.promoteStandby},
	} {
		for _, k := range kinds {
			if f.kind == k {
				chosen = append(chosen, f)
			}
		}
	}
	return chosen
}

// run injects the faults in random order, again and again, until ctx ends. It completes the last one.
func (i *injector) run(ctx context.Context, faults []fault) error {
	whole := context.WithoutCancel(ctx)
	for {
		for _, n := range i.random.Perm(len(faults)) {
			if !testbed.Pause(ctx, i.between(100*time.Millisecond, 600*time.Millisecond)) {
				return nil
			}
			e := event{fault: faults[n]}
			if err := i.play(whole, &e); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			i.events = append(i.events, e)
			log.Printf("%6.1f s: %s, %v", e.from.Seconds(), e.name, (e.to - e.from).Round(time.Millisecond))
		}
	}
}

func (i *injector) play(ctx context.Context, e *event) error {
	if e.prepare != nil {
		if err := e.prepare(ctx); err != nil {
			return err
		}
	}
	e.from = time.Since(i.start)
	err := e.inject(ctx)
	e.to = time.Since(i.start)
	return err
}

func (i *injector) between(least, most time.Duration) time.Duration {
	return least + time.Duration(i.random.Int64N(int64(most-least)))
}

func (i *injector) flush(ctx context.Context) error { return i.w.Redis.Client.FlushAll(ctx).Err() }

// deleteRandom deletes a random key, as an eviction does.
func (i *injector) deleteRandom(ctx context.Context) error {
	key := i.w.Redis.Client.RandomKey(ctx).Val() // empty if there is no key
	return i.w.Redis.Client.Del(ctx, key).Err()
}

func (i *injector) deleteKeys(pattern string) func(context.Context) error {
	return func(ctx context.Context) error {
		keys, err := i.w.Redis.Client.Keys(ctx, pattern).Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		return i.w.Redis.Client.Del(ctx, keys...).Err()
	}
}

func (i *injector) hold(n int) func(context.Context) error {
	return func(ctx context.Context) error {
		held := i.some(n)
		for _, p := range held {
			p.redis.Hold()
		}
		testbed.Pause(ctx, i.between(100*time.Millisecond, 700*time.Millisecond))
		for _, p := range held {
			p.redis.Release()
		}
		return nil
	}
}

// some returns n random processes.
func (i *injector) some(n int) []*process {
	var chosen []*process
	for _, k := range i.random.Perm(len(i.processes))[:n] {
		chosen = append(chosen, i.processes[k])
	}
	return chosen
}

func (i *injector) reset(context.Context) error {
	for _, p := range i.some(1 + i.random.IntN(len(i.processes))) {
		p.redis.Reset()
	}
	return nil
}

func (i *injector) silence(context.Context) error {
	for _, p := range i.some(1 + i.random.IntN(len(i.processes))) {
		p.redis.Silence()
	}
	return nil
}

func (i *injector) restartRedis(ctx context.Context) error {
	if err := i.w.Redis.Kill(); err != nil {
		return err
	}
	testbed.Pause(ctx, i.between(0, 500*time.Millisecond))
	return i.w.Redis.Launch(ctx)
}

// failover moves all processes to a replica that lacks the writes of up to 700 ms.
func (i *injector) failover(ctx context.Context) error {
	if err := i.promote(ctx, i.between(50*time.Millisecond, 700*time.Millisecond)); err != nil {
		return err
	}
	i.move(i.processes)
	return nil
}

// splitBrain leaves one process on the old primary, which accepts its writes, while the other uses the new one.
func (i *injector) splitBrain(ctx context.Context) error {
	if err := i.promote(ctx, i.between(time.Millisecond, 300*time.Millisecond)); err != nil {
		return err
	}
	first := i.random.IntN(len(i.processes))
	i.move(i.processes[first : first+1])
	testbed.Pause(ctx, 700*time.Millisecond)
	i.move(i.processes)
	return nil
}

// promote cuts the replica off for some time and makes it the primary. The processes still use the old primary.
func (i *injector) promote(ctx context.Context, cut time.Duration) error {
	i.link.Hold()
	testbed.Pause(ctx, cut)
	err := i.replica.Client.Do(ctx, "REPLICAOF", "NO", "ONE").Err()
	i.link.Reset()
	i.link.Release()
	i.w.Redis, i.replica = i.replica, i.w.Redis
	return err
}

// replicate makes the second Redis a replica of the primary, and waits until it has caught up.
func (i *injector) replicate(ctx context.Context) error {
	i.link.SetTarget(i.w.Redis.Addr)
	host, port, err := net.SplitHostPort(i.link.Addr())
	if err != nil {
		return err
	}
	if err := i.replica.Client.Do(ctx, "REPLICAOF", host, port).Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		info, err := i.replica.Client.InfoMap(ctx, "replication").Result()
		if err == nil && info["Replication"]["master_link_status"] == "up" {
			testbed.Pause(ctx, i.between(50*time.Millisecond, 200*time.Millisecond)) // normal replication
			return nil
		}
		if !testbed.Pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("the replica of Redis does not catch up: %w", ctx.Err())
		}
	}
}

// move makes processes use the primary.
func (i *injector) move(processes []*process) {
	for _, p := range processes {
		p.redis.SetTarget(i.w.Redis.Addr)
		p.redis.Reset()
	}
}

func (i *injector) restartPostgres(ctx context.Context) error { return i.w.Postgres.Restart(ctx) }

func (i *injector) crashPostgres(ctx context.Context) error {
	if err := i.w.Postgres.Kill(); err != nil {
		return err
	}
	return i.w.Postgres.Restart(ctx)
}

func (i *injector) makeStandby(ctx context.Context) error {
	s, err := i.w.newStandby(ctx)
	if err != nil {
		return err
	}
	i.standbys = append(i.standbys, s)
	return s.caughtUp(ctx, i.w)
}

// promoteStandby loses no commit: a primary that shuts down sends all commits first. (The part promotion is about lost
// commits.)
func (i *injector) promoteStandby(ctx context.Context) error {
	s := i.standbys[len(i.standbys)-1]
	if err := i.w.Postgres.Stop(); err != nil {
		return err
	}
	if err := s.promote(ctx); err != nil {
		return err
	}
	i.w.SetPrimary(s.Postgres)
	for _, p := range i.processes {
		p.postgres.SetTarget(s.Addr())
		p.postgres.Reset()
	}
	return nil
}
