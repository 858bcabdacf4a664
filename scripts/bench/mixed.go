package main

import (
	"context"
	"sync"
	"time"
)

const mixedWorkers = 8 // of each load

// runMixed runs Twirp and gRPC callers on one port at the same time, and counts the calls that fail.
func runMixed(ctx context.Context, w *world, o options) (section, error) {
	s := section{title: "Twirp and gRPC mixed on one port", head: []string{"load", "requests", "failed", "first failure"}}
	p, err := startServer(w, addresses{}, 4*mixedWorkers)
	if err != nil {
		return s, err
	}
	defer p.stop()
	if err := warmUp(ctx, w, p, nil, options{connections: mixedWorkers}); err != nil {
		return s, err
	}
	loads := mixedLoads(w, p)
	// Not a deadline: gRPC would send it to the server, which refuses calls that it has no time for.
	ctx, cancel := context.WithCancel(ctx)
	defer time.AfterFunc(o.mixed, cancel).Stop()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range loads {
		wg.Go(func() { _ = spread(ctx, mixedWorkers, 1<<40, timed(&loads[i].done, loads[i].call)) })
	}
	wg.Wait()
	var failed int64
	for i := range loads {
		r, first := &loads[i].done, ""
		if e := r.first.Load(); e != nil {
			first = *e
		}
		failed += r.failed.Load()
		s.row(loads[i].name, r.all.Load(), r.failed.Load(), first)
	}
	s.note("%.0f s with %d workers for each load; failed: %d (goal 0: %s).", time.Since(start).Seconds(), mixedWorkers, failed, held(failed == 0))
	if failed > 0 {
		return s, errMissed
	}
	return s, nil
}

// mixedLoad is one kind of caller, and the results of its calls.
type mixedLoad struct {
	name string
	call call
	done reads
}

func mixedLoads(w *world, p *process) []mixedLoad {
	one, eight := newStreams(p, 1), newStreams(p, 8)
	return []mixedLoad{
		{name: "GetUser, Twirp protobuf", call: getUser(w, p.users(stack))},
		{name: "GetUser, Twirp JSON", call: getUser(w, p.jsonUsers(stack))},
		{name: "GetUser, gRPC, 8 streams a connection", call: getUser(w, eight.users())},
		{name: "GetSession, Twirp protobuf", call: getSession(w, p.sessions(stack))},
		{name: "GetSession, gRPC, 1 stream a connection", call: getSession(w, one.sessions())},
		{name: "GetCharacterList, gRPC, 8 streams a connection", call: getList(w, eight.characters())},
	}
}
