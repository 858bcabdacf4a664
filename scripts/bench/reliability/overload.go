package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
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

	goodputShare  = 0.9
	acceptedLimit = 250 * time.Millisecond // if PostgreSQL is overloaded
	waitLimit     = time.Second            // the time of a request: if the CPU is overloaded, callers wait rather than being refused
	memoryLimit   = 256                    // MiB
)

// cpuGoals are the shares of the peak that remain with 10, 40 and 160 times the callers.
var cpuGoals = []float64{0.9, 0.8, 0.7}

func runOverload(ctx context.Context, w *world) (section, error) {
	s := section{title: "Overload"}
	err := w.overloadDatabase(ctx, &s)
	return s, errors.Join(err, w.overloadCPU(ctx, &s))
}

// overloadDatabase offers ten times the load that a slow PostgreSQL can serve.
func (w *world) overloadDatabase(ctx context.Context, s *section) error {
	p, err := w.start(ctx)
	if err != nil {
		return err
	}
	p.postgres.Delay(databaseDelay)
	addr := strings.TrimPrefix(p.url, "http://")
	request := func(i int) []byte {
		return wireRequest("CharacterDbService", "GetCharacterList", fullList(w.users[i*7919%len(w.users)]))
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
	s.note("Overload of PostgreSQL, whose answers are delayed by %v: FULL lists of characters, which are never cached. The peak is the best closed loop. "+
		"Then callers send ten times as many calls a second, independently of the answers, on up to %d connections. Meanwhile another caller makes %d GetSession calls a second.",
		databaseDelay, openCallers, sessionRate)
	goal := overloadGoal{"PostgreSQL", peak, goodputShare, acceptedLimit}
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

// overloadCPU lets more and more callers call a process that has one CPU. The callers and Redis use the others.
func (w *world) overloadCPU(ctx context.Context, s *section) error {
	if runtime.NumCPU() < 2 {
		s.missed("Overload of the CPU", "", "not measured: the machine has one CPU")
		return nil
	}
	p, err := w.start(ctx, "GOMAXPROCS=1", "REDIS_URL=redis://"+w.Redis.Addr) // not through the proxy, which uses the callers' CPU
	if err != nil {
		return err
	}
	const all = ^uint64(0)
	defer func() { _ = errors.Join(pin(os.Getpid(), all), pin(w.Redis.PID(), all)) }()
	if err := errors.Join(pin(p.PID(), 1), pin(os.Getpid(), ^uint64(1)), pin(w.Redis.PID(), ^uint64(1))); err != nil {
		return err
	}
	addr, requests := strings.TrimPrefix(p.url, "http://"), w.cachedRequests()
	request := func(i int) []byte { return requests[i%len(requests)] }
	step := time.Duration(w.count2(4000, 6000)) * time.Millisecond
	closedLoad(ctx, addr, 32, step/4, request) // fills the cache
	before := closedLoad(ctx, addr, 32, step, request)
	peak := before.goodput(step/2, step)
	rows := [][]string{overloadRow("32 callers", before, step/2, step)}
	for i, share := range cpuGoals {
		callers := 320 << (2 * i)
		sessions := w.streamSessions(ctx, p)
		load := closedLoad(ctx, addr, callers, step, request)
		asked := sessions.finish()
		rows = append(rows, overloadRow(fmt.Sprintf("%d callers", callers), load, step/2, step))
		goal := overloadGoal{fmt.Sprintf("the CPU, %d times the callers", callers/32), peak, share, waitLimit}
		goal.judge(s, load.between(step/2, step), asked, load.goodput(step/2, step), p)
	}
	s.note("Overload of a process that has one CPU (the callers, Redis and the proxies use the others): cached reads. Each caller has one connection. It sends the next call as soon as it has an answer, or about %v after a refusal. "+
		"The peak is that of 32 callers. The second half of each run counts, because the connections are made in the first. Ten times the peak at a fixed rate is not measured: this machine cannot send that many calls, "+
		"and a refusal, in net/http, costs about half as much as a hit.", refusedPause)
	s.table(overloadHead(), rows)
	return nil
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
	p99   time.Duration
}

func (g overloadGoal) judge(s *section, all, sessions timings, goodput float64, p *process) {
	name := "Overload of " + g.of + ": "
	s.add(name+"goodput", fmt.Sprintf("at least %.0f a second, %.0f %% of the peak", g.share*g.peak, 100*g.share),
		fmt.Sprintf("%.0f a second, %.0f %%", goodput, 100*goodput/g.peak), goodput >= g.share*g.peak)
	p99 := all.succeeded().quantile(0.99)
	s.add(name+"p99 of accepted calls", inMS(g.p99)+" ms", inMS(p99)+" ms", p99 <= g.p99)
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
