package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	peakCallers = 32
	// constantMode is the environment variable that makes this program the server to compare with.
	constantMode = "RELIABILITY_CONSTANT"
)

// cpuGoals are the shares of the peak that remain with 10, 40 and 160 times the callers, to those of a constant answer.
var cpuGoals = []float64{0.9, 0.8, 0.7}

// constant answers each GetUser with the same user. What it loses with many callers is the price of their connections.
type constant struct{ databasev1.UserService }

// GetUser implements UserService.
func (constant) GetUser(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{User: &databasev1.User{Id: "u", Username: "username", Email: "u@example.com"}}, nil
}

// serveConstant runs until SIGTERM.
func serveConstant() error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	users := databasev1.NewUserServiceServer(constant{})
	mux := http.NewServeMux()
	mux.Handle(users.PathPrefix(), users)
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	return http.ListenAndServe(os.Getenv("LISTEN_ADDR")+":"+os.Getenv("SERVICE_PORT"), mux)
}

// overloadCPU lets more and more callers call a process that has one CPU. The callers and the servers use the others.
func (w *world) overloadCPU(ctx context.Context, s *section) error {
	if runtime.NumCPU() < 2 {
		s.missed("Overload of the CPU", "", "not measured: the machine has one CPU")
		return nil
	}
	const all = ^uint64(0)
	defer func() { _ = errors.Join(pin(os.Getpid(), all), pin(w.Redis.PID(), all)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.note("Overload of a process that has one CPU (the callers and Redis use the others): cached reads. Each caller has one connection. It sends the next call as soon as it has an answer, or about %v after a refusal. "+
		"The peak is that of %d callers. The second half of each run counts, because the connections are made in the first. Ten times the peak at a fixed rate is not measured: this machine cannot send that many calls, "+
		"and a refusal, in net/http, costs about half as much as a hit. The same callers call a Twirp handler with a constant answer: what it keeps is what net/http keeps, and the goals are shares of that.", refusedPause, peakCallers)
	kept, err := w.overloadOneCPU(ctx, s, "constant", nil, &program{path: self}, constantMode+"=1")
	if err != nil {
		return err
	}
	_, err = w.overloadOneCPU(ctx, s, "the service", kept, w.program)
	return err
}

// overloadOneCPU measures one program, and returns which shares of the peak it kept. With constant, the shares to compare with, it judges
// them.
func (w *world) overloadOneCPU(ctx context.Context, s *section, name string, constant []float64, of *program, env ...string) (kept []float64, err error) {
	// Not through the proxies, which use the callers' CPU.
	p, err := w.startProgram(ctx, of, append(env, "GOMAXPROCS=1", "REDIS_URL=redis://"+w.Redis.Addr, "DATABASE_URL="+w.ServiceURL(w.Postgres.Addr()))...)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(pin(p.PID(), 1), pin(os.Getpid(), ^uint64(1)), pin(w.Redis.PID(), ^uint64(1))); err != nil {
		return nil, err
	}
	addr, requests := strings.TrimPrefix(p.url, "http://"), w.cachedRequests()
	if constant == nil {
		requests = w.cachedUsers()
	}
	request := func(i int) []byte { return requests[i%len(requests)] }
	step := time.Duration(w.count2(4000, 6000)) * time.Millisecond
	closedLoad(ctx, addr, peakCallers, step/4, request) // fills the cache
	before := closedLoad(ctx, addr, peakCallers, step, request)
	peak := before.goodput(step/2, step)
	rows := [][]string{overloadRow(fmt.Sprintf("%s, %d callers", name, peakCallers), before, step/2, step)}
	for i, share := range cpuGoals {
		callers := 10 * peakCallers << (2 * i)
		goal := overloadGoal{of: fmt.Sprintf("the CPU, %d times the callers", callers/peakCallers), peak: peak, share: share}
		var load timings
		if constant == nil {
			load = closedLoad(ctx, addr, callers, step, request)
		} else {
			sessions := w.streamSessions(ctx, p)
			load = closedLoad(ctx, addr, callers, step, request)
			asked := sessions.finish()
			goal.constant = min(constant[i], 1)
			goal.judge(s, load.between(step/2, step), asked, load.goodput(step/2, step), p)
		}
		kept = append(kept, load.goodput(step/2, step)/max(peak, 1))
		rows = append(rows, overloadRow(fmt.Sprintf("%s, %d callers", name, callers), load, step/2, step))
	}
	s.table(overloadHead(), rows)
	return kept, p.close()
}
