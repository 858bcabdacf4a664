package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	frozenFor   = 2 * time.Second
	freezeTimes = 20

	betweenFreezes = 2 * time.Second
	normalAfter    = 500 * time.Millisecond // after the process may run again
	normalCall     = 250 * time.Millisecond // what a call may take then
	freezeRate     = 200                    // calls a second
	maxAge         = time.Second            // of an answer
	takenQuota     = 0.01                   // CPUs while the CPU is taken: cgroup's smallest
)

// runFreeze stops a process for 2 s, or takes its CPU, again and again. Meanwhile another process writes.
func runFreeze(ctx context.Context, w *world) (s section, err error) {
	s.title = "Frozen"
	times := w.count2(2, freezeTimes)
	err = w.freeze(ctx, &s, "frozen (SIGSTOP)", times, nil)
	g, groupErr := newQuotaGroup()
	if groupErr != nil {
		s.missed("CPU taken", "", "not measured: "+groupErr.Error())
		return s, err
	}
	return s, errors.Join(err, w.freeze(ctx, &s, "without a CPU (quota "+strconv.FormatFloat(takenQuota, 'f', -1, 64)+")", times, g), g.remove())
}

// freeze measures one way of it.
func (w *world) freeze(ctx context.Context, s *section, how string, times int, g *quotaGroup) (err error) {
	start := func() (*process, error) { return w.start(ctx) }
	if g != nil {
		start = func() (*process, error) { return w.startIn(ctx, g) }
	}
	p, err := start()
	if err != nil {
		return err
	}
	writer, err := w.start(ctx)
	if err != nil {
		return errors.Join(err, p.close())
	}
	defer func() { err = errors.Join(err, p.close(), writer.close()) }()
	saves := newSavedMoney(w.characters[0], w.users[0])
	writing, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { saves.write(writing, writer) })
	load := startStream(ctx, freezeRate, 256, func(ctx context.Context, i int) string {
		if i%2 == 0 {
			return saves.read(ctx, p)
		}
		n := i * 7919 % len(w.users)
		r, err := p.users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[n]})
		return checked(err, func() bool { return r.User.Id == w.users[n] })
	})
	testbed.Pause(ctx, betweenFreezes)
	var again []time.Duration
	for range times {
		if err := stopFor(ctx, p, g); err != nil {
			break
		}
		again = append(again, load.now())
		testbed.Pause(ctx, betweenFreezes)
	}
	all := load.finish()
	stop()
	done.Wait()
	judgeFreeze(s, how, all, again)
	return saves.err
}

// stopFor stops the process for a while.
func stopFor(ctx context.Context, p *process, g *quotaGroup) error {
	begin, end := func() error { return p.Signal(syscall.SIGSTOP) }, func() error { return p.Signal(syscall.SIGCONT) }
	if g != nil {
		begin, end = func() error { return g.set(takenQuota) }, func() error { return g.set(0) }
	}
	if err := begin(); err != nil {
		return err
	}
	testbed.Pause(ctx, frozenFor)
	return end()
}

func judgeFreeze(s *section, how string, all timings, again []time.Duration) {
	var late, normal timings
	for _, at := range again {
		calls := all.between(at+normalAfter, at+betweenFreezes-normalCall) // a later one may meet the next freeze
		normal = append(normal, calls...)
		for _, t := range calls {
			if t.code != "" || t.took > normalCall {
				late = append(late, t)
			}
		}
	}
	wrong := all.codes()[wrongAnswer]
	name := fmt.Sprintf("%s for %v, %d times: ", how, frozenFor, len(again))
	s.add(name+"wrong answers", "0", fmt.Sprintf("%d of %d", wrong, len(all)), wrong == 0)
	s.add(name+fmt.Sprintf("calls that failed, or took over %v, later than %v after it", normalCall, normalAfter), "0",
		fmt.Sprintf("%d of %d (%s), worst %s ms", len(late), len(normal), listCodes(late.codes()), inMS(normal.worst())), len(late) == 0)
	s.table(timingHead(how), [][]string{all.row("all calls"), normal.row("later than " + normalAfter.String() + " after it")})
}

// savedMoney is a character whose money another process raises by 1 with each save.
type savedMoney struct {
	character int64
	user      string
	err       error

	mu    sync.Mutex
	saves []savedAt // in order
}

// savedAt is a value that was acknowledged.
type savedAt struct {
	money int64
	at    time.Time
}

func newSavedMoney(character int64, user string) *savedMoney {
	return &savedMoney{character: character, user: user}
}

// write saves until ctx ends.
func (m *savedMoney) write(ctx context.Context, p *process) {
	get, err := p.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: m.character, UserId: m.user})
	for err == nil {
		c := get.Character
		money := c.Money + 1
		var saved *databasev1.SaveCharacterResponse
		saved, err = p.characters.SaveCharacter(ctx, &databasev1.SaveCharacterRequest{
			CharacterId: m.character, UserId: m.user, ExpectedVersion: c.Version, Money: &money,
		})
		if err != nil {
			break
		}
		m.mu.Lock()
		m.saves = append(m.saves, savedAt{money, time.Now()})
		m.mu.Unlock()
		get.Character.Money, get.Character.Version = money, saved.Version
		testbed.Pause(ctx, 20*time.Millisecond)
	}
	if ctx.Err() == nil {
		m.err = err
	}
}

// read checks that an answer is not older than it may be.
func (m *savedMoney) read(ctx context.Context, p *process) string {
	began := time.Now()
	r, err := p.characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: m.character, UserId: m.user})
	return checked(err, func() bool { return r.Character.Money >= m.before(began.Add(-maxAge)) })
}

// before returns the last value that was acknowledged before a time.
func (m *savedMoney) before(at time.Time) (money int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.saves) - 1; i >= 0; i-- {
		if m.saves[i].at.Before(at) {
			return m.saves[i].money
		}
	}
	return 0
}
