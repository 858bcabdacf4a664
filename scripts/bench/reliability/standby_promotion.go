package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/cache"
)

const (
	lostSaves = 64      // characters whose last save the standby lacks
	lostMoney = 1 << 30 // least money in these saves
	writable  = 2 * time.Second
)

func runPromotion(ctx context.Context, w *world) (s section, err error) {
	s.title = "A standby of PostgreSQL promoted"
	f := &failover{w: w}
	for range 2 {
		p, err := w.start(ctx)
		if err != nil {
			return s, err
		}
		f.processes = append(f.processes, p)
	}
	if f.accounts, err = w.newAccounts(ctx, f.processes[0].characters, w.characters[lostSaves/2:2*lostSaves]); err != nil {
		return s, err
	}
	if f.standby, err = w.newStandby(ctx); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.standby.close()) }()
	if err = f.diverge(ctx); err != nil {
		return s, fmt.Errorf("commits that the standby lacks: %w", err)
	}
	return s, f.run(ctx, &s)
}

// failover is a promotion, and two processes that go through it.
type failover struct {
	w         *world
	standby   *standby
	processes []*process
	accounts  []*account // the first ones belong to characters whose last save is lost

	promoted atomic.Bool
}

// diverge saves characters through a process while replication is cut.
func (f *failover) diverge(ctx context.Context) error {
	if err := f.standby.caughtUp(ctx, f.w); err != nil {
		return err
	}
	f.standby.replication.Refuse()
	for i := range lostSaves {
		money, c := int64(lostMoney+i), f.w.characters[i]
		r := &databasev1.SaveCharacterRequest{CharacterId: c, ExpectedVersion: 1, Money: &money}
		if _, err := f.processes[0].characters.SaveCharacter(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (f *failover) run(ctx context.Context, s *section) error {
	reads := startStream(ctx, callRate, callCallers, f.read)
	testbed.Pause(ctx, 2*settled)
	if err := f.w.Postgres.Kill(); err != nil {
		return err
	}
	for _, p := range f.processes { // as by DNS: they reach a server that does not accept writes yet
		p.postgres.SetTarget(f.standby.Addr())
		p.postgres.Reset()
	}
	killed := reads.now()
	writes := []*stream{f.startWrites(ctx, 0), f.startWrites(ctx, 1)}
	testbed.Pause(ctx, settled/2)
	err := f.standby.promote(ctx)
	promoted := reads.now()
	f.promoted.Store(true)
	testbed.Pause(ctx, 3*settled)
	all := reads.finish()
	var saves [2]timings
	for i, stream := range writes {
		saves[i] = stream.finish()
		for j := range saves[i] {
			saves[i][j].at += stream.began.Sub(reads.began)
		}
	}
	if err != nil {
		return err
	}
	f.judge(s, all, saves, killed, promoted)
	return errors.Join(f.plot(s, slices.Concat(all, saves[0], saves[1]), killed, promoted), f.compare(ctx, s))
}

// read reads a character whose last save is lost.
func (f *failover) read(ctx context.Context, i int) string {
	r, err := f.processes[i%2].characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: f.w.characters[i/2%lostSaves]})
	if err == nil && r.Character.Money >= lostMoney {
		return lostValue
	}
	return answerCode(err)
}

const lostValue = "a value of the lost timeline"

// startWrites saves through one process. After the promotion it also saves the characters whose last save was lost: the
// new primary issues the same versions again.
func (f *failover) startWrites(ctx context.Context, via int) *stream {
	first := lostSaves / 2
	return startStream(ctx, callRate/4, callCallers/4, func(ctx context.Context, i int) string {
		n := first + i%(len(f.accounts)-first)
		if f.promoted.Load() {
			n = i % len(f.accounts)
		}
		a := f.accounts[n]
		a.mu.Lock()
		defer a.mu.Unlock()
		return answerCode(a.add(ctx, f.processes[via].characters))
	})
}

func (f *failover) judge(s *section, reads timings, saves [2]timings, killed, promoted time.Duration) {
	judgeLost(s, reads, killed, promoted)
	var worst time.Duration
	rows := [][]string{
		reads.between(settled, killed).row("reads before"), reads.between(killed, promoted).row("reads without a primary"),
		reads.between(promoted, promoted+settled).row("reads, first second after"), reads.between(promoted+settled, time.Hour).row("reads from then on"),
	}
	late := 0
	for i, all := range saves {
		first, ok := all.firstSuccess(promoted)
		if !ok {
			first = promoted + time.Hour
		}
		worst, late = max(worst, first-promoted), late+all.between(promoted+writable, time.Hour).failed()
		rows = append(rows, all.between(killed, promoted).row(fmt.Sprintf("writes by process %d without a primary", i+1)),
			all.between(promoted, promoted+settled).row("first second after"), all.between(promoted+settled, time.Hour).row("from then on"))
	}
	s.add("Promotion: first write after the standby accepts writes, by each of two processes", "2 s", inMS(worst)+" ms", worst <= writable)
	s.add("Promotion: writes that fail more than 2 s after that", "0", strconv.Itoa(late), late == 0)
	s.table(timingHead("phase"), rows)
}

// judgeLost counts the values of the lost timeline. It clears their code: they are answers, not failures.
func judgeLost(s *section, reads timings, killed, promoted time.Duration) {
	old, late, latest := 0, 0, time.Duration(0)
	for i, t := range reads {
		if t.code != lostValue {
			continue
		}
		reads[i].code = ""
		if t.at > killed {
			old, latest = old+1, max(latest, t.at-killed)
		}
		if t.at > killed+cache.MaxStaleness {
			late++
		}
	}
	s.add("Promotion: values of the lost timeline in reads more than 1 s after the crash of the primary", "0", strconv.Itoa(late), late == 0)
	s.note("The standby accepted writes %s ms after the primary had crashed and the processes had been redirected. In the first 1 s after the crash, %d reads got "+
		"a value of the lost timeline from the cache, the last one sent %s ms after the crash. The bound of 1 s allows this: a process that cannot reach PostgreSQL "+
		"cannot notice the loss.", inMS(promoted-killed), old, inMS(latest))
}

func (f *failover) plot(s *section, all timings, killed, promoted time.Duration) error {
	slices.SortFunc(all, func(a, b timing) int { return int(a.at - b.at) })
	figure, err := all.overTime("promotion", s.title, moment{"crash of the primary", killed}, moment{"the standby accepts writes", promoted})
	s.figures = append(s.figures, figure)
	return err
}

// compare reads all characters through each process once more.
func (f *failover) compare(ctx context.Context, s *section) error {
	for _, a := range f.accounts { // retry the saves whose result is unknown
		for tries := 0; a.pending != nil; tries++ {
			if err := a.add(ctx, f.processes[0].characters); err != nil && tries == 20 {
				return fmt.Errorf("retry a save: %w", err)
			}
		}
	}
	wrong := 0
	for _, p := range f.processes {
		for i, id := range f.w.characters[:2*lostSaves] {
			r, err := p.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: id})
			if err != nil {
				return err
			}
			want := int64(0)
			if i >= lostSaves/2 {
				want = int64(f.accounts[i-lostSaves/2].added)
			}
			if r.Character.Money != want {
				wrong++
			}
		}
	}
	s.add("Promotion: characters that differ from what was acknowledged since", "0", strconv.Itoa(wrong), wrong == 0)
	return nil
}
