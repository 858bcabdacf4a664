package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	callRate    = 300 // a second
	callCallers = 512 // a request takes half a second while the database hangs

	longest     = time.Second // duration of a request
	firstAnswer = 500 * time.Millisecond
	poll        = 5 * time.Millisecond
)

func runPostgresFaults(ctx context.Context, w *world) (section, error) {
	s := section{title: "PostgreSQL hung and restarted"}
	p, err := w.start(ctx)
	if err != nil {
		return s, err
	}
	accounts, err := w.newAccounts(ctx, p.characters, w.characters[:64])
	if err != nil {
		return s, err
	}
	s.note("%d calls a second that PostgreSQL must answer: GetSession, GetUserBySession, a FULL list of characters, and SaveCharacter of a "+
		"character that no other call saves. Each answer is compared with the expected one, and at the end the saves are compared with PostgreSQL. "+
		"A test of local/systemtest checks that no goroutine leaks after PostgreSQL hung; that cannot be seen from outside.", callRate)
	m := &mixedCalls{w: w, p: p, accounts: accounts}
	rows, err := m.hang(ctx, &s)
	if err == nil {
		var more [][]string
		more, err = m.restarts(ctx, &s)
		rows = append(rows, more...)
	}
	if err == nil {
		err = m.settle(ctx, &s)
	}
	s.table(timingHead("phase"), rows)
	return s, err
}

// mixedCalls is a load of calls that PostgreSQL must answer.
type mixedCalls struct {
	w        *world
	p        *process
	accounts []*account
}

const wrongAnswer = "wrong answer"

func (m *mixedCalls) stream(ctx context.Context) *stream {
	return startStream(ctx, callRate, callCallers, m.call)
}

func (m *mixedCalls) call(ctx context.Context, i int) string {
	n := i / 4 * 7919 % len(m.w.users)
	switch i % 4 {
	case 0:
		r, err := m.p.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: m.w.tokens[n]}})
		return checked(err, func() bool { return r.Session.UserId == m.w.users[n] })
	case 1:
		r, err := m.p.users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: m.w.tokens[n]}})
		return checked(err, func() bool { return r.User.Id == m.w.users[n] && r.Session.UserId == m.w.users[n] })
	case 2:
		r, err := m.p.characters.GetCharacterList(ctx, fullList(m.w.users[n]))
		return checked(err, func() bool { return len(r.Characters) == 2 && r.Characters[0].Id == m.w.characters[n] })
	}
	a := m.accounts[i/4%len(m.accounts)]
	a.mu.Lock() // a save waits for the previous save of the same character, and its wait counts
	defer a.mu.Unlock()
	return answerCode(a.add(ctx, m.p.characters))
}

func checked(err error, right func() bool) string {
	if err == nil && !right() {
		return wrongAnswer
	}
	return answerCode(err)
}

func fullList(user string) *databasev1.GetCharacterListRequest {
	return &databasev1.GetCharacterListRequest{UserId: user, View: databasev1.CharacterView_CHARACTER_VIEW_FULL}
}

// hang holds back all bytes to and from PostgreSQL for some seconds.
func (m *mixedCalls) hang(ctx context.Context, s *section) ([][]string, error) {
	phase := time.Duration(m.w.count2(2, 4)) * time.Second
	load := m.stream(ctx)
	testbed.Pause(ctx, settled+phase)
	m.p.postgres.Hold()
	began := load.now()
	testbed.Pause(ctx, phase)
	m.p.postgres.Release()
	ended := load.now()
	testbed.Pause(ctx, phase)
	all := load.finish()
	// A request that was due shortly before the end may succeed after it.
	during := all.between(began, ended-longest)
	codes := during.codes()
	unavailable := codes["unavailable DATABASE_UNAVAILABLE"]
	s.add("PostgreSQL hung: longest request", "1.0 s", inMS(all.between(began, ended).worst())+" ms", all.between(began, ended).worst() <= longest)
	s.add("PostgreSQL hung: requests that fail as unavailable", "all", fmt.Sprintf("%d of %d (%s)", unavailable, len(during), listCodes(codes)), unavailable == len(during))
	first, ok := all.firstSuccess(ended)
	plot, err := all.overTime("postgres-hung", "PostgreSQL hung", moment{"start of the fault", began}, moment{"end of the fault", ended})
	s.figures = append(s.figures, plot)
	s.note("After PostgreSQL resumed, the first success came in %s ms (there was one: %v). Of the requests that were due more than 1 s later, %d failed.",
		inMS(first-ended), ok, all.between(ended+settled, load.now()).failed())
	return [][]string{all.between(settled, began-longest).row("before it hung"), all.between(began, ended).row("PostgreSQL hung"),
		all.between(ended, ended+settled).row("first second after"), all.between(ended+settled, load.now()).row("from then on")}, err
}

func (m *mixedCalls) restarts(ctx context.Context, s *section) ([][]string, error) {
	var rows [][]string
	var worst time.Duration
	wrong, n := 0, m.w.count2(2, 6)
	for i := range n {
		crash := i%2 == 1
		load := m.stream(ctx)
		testbed.Pause(ctx, settled*3/2)
		down, accepted, err := m.restartOnce(ctx, load, crash)
		testbed.Pause(ctx, settled*3/2)
		all := load.finish()
		if err != nil {
			return rows, err
		}
		first, ok := all.firstSuccess(accepted)
		if !ok {
			first = load.now()
		}
		worst = max(worst, first-accepted)
		wrong += all.codes()[wrongAnswer] + all.codes()["aborted VERSION_MISMATCH"]
		rows = append(rows, all.between(down, accepted).row(fmt.Sprintf("down for %s ms (%s)", inMS(accepted-down), kindOfRestart(crash))),
			all.between(accepted, accepted+settled).row("first second after it accepted; first success after "+inMS(first-accepted)+" ms"))
		if i == 0 {
			plot, err := all.overTime("postgres-restarted", "PostgreSQL restarted", moment{"start of the fault", down}, moment{"connections are accepted again", accepted})
			if err != nil {
				return rows, err
			}
			s.figures = append(s.figures, plot)
		}
	}
	s.add(fmt.Sprintf("PostgreSQL restarted %d times: first success after it accepts connections", n), "500 ms", "at most "+inMS(worst)+" ms", worst <= firstAnswer)
	s.add("PostgreSQL restarted: wrong answers", "0", fmt.Sprint(wrong), wrong == 0)
	return rows, nil
}

func kindOfRestart(crash bool) string {
	if crash {
		return "killed and started"
	}
	return "fast shutdown and start"
}

// restartOnce returns when PostgreSQL first refused a connection, and when it accepted one again.
func (m *mixedCalls) restartOnce(ctx context.Context, load *stream, crash bool) (down, accepted time.Duration, err error) {
	done := make(chan error, 1)
	go func() {
		if crash {
			if err := m.w.Postgres.Kill(); err != nil {
				done <- err
				return
			}
		}
		done <- m.w.Postgres.Restart(ctx)
	}()
	for down == 0 || accepted == 0 {
		at := load.now()
		switch up := m.w.accepts(ctx); {
		case !up && down == 0:
			down = at
		case up && down > 0:
			accepted = load.now()
		}
		if !testbed.Pause(ctx, poll) || load.now() > startTime {
			return down, accepted, errors.Join(errors.New("no restart of PostgreSQL was observed"), ctx.Err(), <-done)
		}
	}
	return down, accepted, <-done
}

// accepts reports whether PostgreSQL accepts a direct connection.
func (w *world) accepts(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, w.Postgres.URL("postgres"))
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// settle retries the saves whose result is unknown, and compares the accounts with the database.
func (m *mixedCalls) settle(ctx context.Context, s *section) error {
	var ids []int64
	var added int
	for _, a := range m.accounts {
		for tries := 0; a.pending != nil; tries++ {
			if err := a.add(ctx, m.p.characters); err != nil && tries == 20 {
				return fmt.Errorf("retry a save: %w", err)
			}
		}
		ids, added = append(ids, a.character), added+a.added
	}
	money, seconds, err := m.w.totals(ctx, ids)
	s.add("PostgreSQL hung and restarted: sum of the saves", thousands(added), fmt.Sprintf("money %s, play time %s", thousands(int(money)), thousands(int(seconds))),
		int(money) == added && int(seconds) == added)
	return err
}
