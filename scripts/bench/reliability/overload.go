package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	databaseDelay = 20 * time.Millisecond // added to each answer of PostgreSQL: 16 connections then do at most 800 statements a second
	openCallers   = 2000
	sessionRate   = 50 // a second
	sessionCaller = 128

	goodputShare = 0.9
	waitLimit    = time.Second // the time of a request: callers wait rather than being refused
	memoryLimit  = 256         // MiB
)

func runOverload(ctx context.Context, w *world) (section, error) {
	s := section{title: "Overload"}
	err := w.overloadDatabase(ctx, &s)
	return s, errors.Join(err, w.overloadCPU(ctx, &s))
}

// overloadDatabase offers ten times the load that a slow PostgreSQL can serve.
func (w *world) overloadDatabase(ctx context.Context, s *section) error {
	p, err := w.start(ctx, "REDIS_URL=off")
	if err != nil {
		return err
	}
	p.postgres.Delay(databaseDelay)
	addr := strings.TrimPrefix(p.url, "http://")
	request := func(i int) []byte {
		return wireRequest("UserService", "GetUser", &databasev1.GetUserRequest{UserId: w.users[i*7919%len(w.users)]})
	}
	step := time.Duration(w.count2(1000, 2000)) * time.Millisecond
	var rows [][]string
	var peak float64
	for _, callers := range []int{8, 12, 16, 32} {
		all := closedLoad(ctx, addr, callers, step, request)
		peak = max(peak, all.goodput(step/4, step))
		rows = append(rows, overloadRow(fmt.Sprintf("%d callers", callers), all, step/4, step))
	}
	sessions := w.streamSessions(ctx, p)
	d := 4 * step
	all := openLoad(ctx, addr, int(10*peak), openCallers, d, request)
	asked := sessions.finish()
	rows = append(rows, overloadRow(fmt.Sprintf("%.0f calls a second offered", 10*peak), all, step/2, d))
	s.note("Overload of PostgreSQL, whose answers are delayed by %v: GetUser without a cache. The peak is the best closed loop. "+
		"Then callers send ten times as many calls a second, independently of the answers, on up to %d connections. Meanwhile another caller makes %d GetSession calls a second.",
		databaseDelay, openCallers, sessionRate)
	goal := overloadGoal{of: "PostgreSQL", peak: peak, share: goodputShare}
	goal.judge(s, all.between(step/2, d), asked, all.goodput(step/2, d), p)
	s.table(overloadHead(), rows)
	return p.close()
}

func (w *world) streamSessions(ctx context.Context, p *process) *stream {
	return startStream(ctx, sessionRate, sessionCaller, func(ctx context.Context, i int) string {
		n := i * 7919 % len(w.users)
		r, err := p.sessions.GetSession(ctx, &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: w.tokens[n]}})
		return checked(err, func() bool { return r.Session.UserId == w.users[n] })
	})
}

// cachedRequests are reads that the cache answers.
func (w *world) cachedRequests() (all [][]byte) {
	for i := range readKeys {
		all = append(all,
			wireRequest("UserService", "GetUser", &databasev1.GetUserRequest{UserId: w.users[i]}),
			wireRequest("CharacterDbService", "GetCharacter", &databasev1.GetCharacterRequest{CharacterId: w.characters[i]}),
			wireRequest("CharacterDbService", "GetCharacterList", &databasev1.GetCharacterListRequest{UserId: w.users[i]}))
	}
	return all
}

// overloadGoal is what an overload of something must not break.
type overloadGoal struct {
	of    string
	peak  float64 // successes a second without overload
	share float64 // of the peak that must remain
	// constant is the share of its peak that a constant answer keeps. If it is set, share is of that.
	constant float64
}

func (g overloadGoal) judge(s *section, all, sessions timings, goodput float64, p *process) {
	name := "Overload of " + g.of + ": "
	least, why := g.share*g.peak, ""
	if g.constant > 0 {
		least *= g.constant
		why = fmt.Sprintf(": %.0f %% of what a constant answer keeps (%.0f %%)", 100*g.share, 100*g.constant)
	}
	s.add(name+"goodput", fmt.Sprintf("at least %.0f a second, %.0f %% of the peak%s", least, 100*least/g.peak, why),
		fmt.Sprintf("%.0f a second, %.0f %%", goodput, 100*goodput/g.peak), goodput >= least)
	p99 := all.succeeded().quantile(0.99)
	s.add(name+"p99 of accepted calls", inMS(waitLimit)+" ms", inMS(p99)+" ms", p99 <= waitLimit)
	used := memory(p.PID())
	s.add(name+"memory", "under 256 MiB", strconv.Itoa(used)+" MiB", used > 0 && used < memoryLimit)
	s.add(name+"failed GetSession calls meanwhile", "0", fmt.Sprintf("%d of %d (%s), p99 %s ms",
		sessions.failed(), len(sessions), listCodes(sessions.codes()), inMS(sessions.quantile(0.99))), sessions.failed() == 0)
}

func overloadHead() []string {
	return []string{"load", "calls a second", "answered a second", "p50 ms", "p99 ms", "worst ms", "others"}
}

func overloadRow(name string, all timings, from, to time.Duration) []string {
	in := all.between(from, to)
	ok := in.succeeded()
	return []string{name, fmt.Sprintf("%.0f", float64(len(in))/(to-from).Seconds()), fmt.Sprintf("%.0f", all.goodput(from, to)),
		inMS(ok.quantile(0.5)), inMS(ok.quantile(0.99)), inMS(ok.worst()), listCodes(in.codes())}
}
