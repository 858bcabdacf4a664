package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	herdReaders     = 10_000
	herdProcesses   = 4
	herdConnections = 64 // of each process
	herdLoads       = 8
	// herdUser is the id that the herd reads. Of all messages to PostgreSQL, only the query for this user contains it.
	herdUser = "the-user-that-the-herd-wants"
)

func runHerd(ctx context.Context, w *world) (section, error) {
	s := section{title: "Cold herd"}
	if _, err := w.DB.Exec(ctx, `INSERT INTO "user" (id, name, email, "emailVerified", "updatedAt", username, "displayUsername", role)
VALUES ($1, 'herd', 'herd@example.com', true, now(), 'herd', 'Herd', 'user')`, herdUser); err != nil {
		return s, err
	}
	h := herd{w: w}
	for range herdProcesses {
		if err := h.join(ctx); err != nil {
			return s, err
		}
	}
	rounds := w.count2(2, 5)
	evicted, err := h.rounds(ctx, rounds, func() error { return w.Redis.Client.Del(ctx, "user:"+herdUser).Err() })
	if err != nil {
		return s, err
	}
	empty, err := h.rounds(ctx, rounds, func() error { return w.Redis.Client.FlushAll(ctx).Err() })
	if err != nil {
		return s, err
	}
	s.note("%s readers of one user start at the same time, on %d processes with %d connections each; the readers of a process share its connections. "+
		"Just before, the web application changes the user, for 1 s there are no reads, and the user's key is deleted from Redis, or Redis is emptied, which removes the watermark too. "+
		"A load is a query to PostgreSQL for this user.", thousands(herdReaders), herdProcesses, herdConnections)
	h.report(&s, map[string][]herdRound{"the key deleted": evicted, "Redis emptied": empty})
	return s, nil
}

func (h *herd) report(s *section, runs map[string][]herdRound) {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		loads, codes, n := int64(0), map[string]int{}, len(runs[name])
		for _, r := range runs[name] {
			loads = max(loads, r.loads)
			for code, n := range r.codes() {
				codes[code] += n
			}
			rows = append(rows, append([]string{strconv.FormatInt(r.loads, 10)}, r.timings.row(name)...))
		}
		s.add(fmt.Sprintf("Cold herd, %s, %d times: loads", name, n), fmt.Sprintf("at most %d", herdLoads), fmt.Sprintf("at most %d", loads), loads <= herdLoads)
		failed := n*herdReaders - codes[""]
		s.add("Cold herd, "+name+": failed reads", "0", fmt.Sprintf("%d of %s (%s)", failed, thousands(n*herdReaders), listCodes(codes)), failed == 0)
	}
	s.table(append([]string{"loads"}, timingHead("before")...), rows)
}

// herd is the readers and the processes that they call.
type herd struct {
	w       *world
	clients []clients
	loads   atomic.Int64
}

func (h *herd) join(ctx context.Context) error {
	p, err := h.w.start(ctx)
	if err != nil {
		return err
	}
	p.postgres.OnSend(func(b []byte) { h.loads.Add(int64(bytes.Count(b, []byte(herdUser)))) })
	h.clients = append(h.clients, newBoundedClients(p.url, herdConnections))
	return nil
}

// herdRound is the result of one round. Its timings count from the common start.
type herdRound struct {
	timings
	loads int64
}

func (h *herd) rounds(ctx context.Context, n int, evict func() error) (all []herdRound, err error) {
	for range n {
		h.read(ctx, herdProcesses*herdConnections) // opens the connections, and fills the cache
		if _, err := h.w.DB.Exec(ctx, `UPDATE "user" SET "updatedAt" = now() WHERE id = $1`, herdUser); err != nil {
			return all, err
		}
		testbed.Pause(ctx, bound) // then no process serves the user from its memory
		if err := evict(); err != nil {
			return all, err
		}
		h.loads.Store(0)
		r := h.read(ctx, herdReaders)
		all = append(all, herdRound{timings: r, loads: h.loads.Load()})
	}
	return all, nil
}

// read starts n readers at the same time.
func (h *herd) read(ctx context.Context, n int) timings {
	all := make(timings, n)
	start := make(chan struct{})
	var began time.Time
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			r, err := h.clients[i%herdProcesses].users.GetUser(ctx, &databasev1.GetUserRequest{UserId: herdUser})
			all[i] = timing{took: time.Since(began), code: checked(err, func() bool { return r.User.Id == herdUser })}
		})
	}
	ready.Wait()
	began = time.Now()
	close(start)
	done.Wait()
	return all
}
