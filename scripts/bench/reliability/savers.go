package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/osirose-new/database-service/shared/faultproxy"
)

const (
	saveWriters    = 64
	saveShared     = 2    // writers of one character
	savesOfWriter  = 1000 // a quarter of that if answers are lost
	resetMostEvery = 300 * time.Millisecond
)

func runSavers(ctx context.Context, w *world) (section, error) {
	s := section{title: "Versioned saves"}
	v := &savers{w: w}
	for range 2 {
		p, err := w.start(ctx)
		if err != nil {
			return s, err
		}
		proxy, err := faultproxy.New(strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			return s, err
		}
		defer proxy.Close()
		v.proxies = append(v.proxies, proxy, p.postgres)
		v.clients = append(v.clients, newClients("http://"+proxy.Addr()))
	}
	s.note("%d writers, each saving through one of two processes, one request at a time. A save adds 1 to money and play time, with the version that the writer knows. "+
		"After VERSION_MISMATCH the writer reads again. If answers are lost, connections between the writers and the processes, or between the processes and PostgreSQL, "+
		"are reset at least every %v, and the writer retries a save without an answer under its save_id.", saveWriters, resetMostEvery)
	saves := w.count(savesOfWriter)
	err := v.play(ctx, &s, fmt.Sprintf("%d writers of each character", saveShared), saveShared, saves, false)
	if err == nil {
		err = v.play(ctx, &s, "answers lost, one writer of each character", 1, saves/4, true)
	}
	if err == nil {
		err = v.play(ctx, &s, fmt.Sprintf("answers lost, %d writers of each character", saveShared), saveShared, saves/4, true)
	}
	s.table([]string{"run", "saves", "attempts", "mismatches", "without an answer", "of these, then a mismatch", "seconds"}, v.rows)
	return s, err
}

// savers is the writers and how they reach the characters.
type savers struct {
	w       *world
	clients []clients
	proxies []*faultproxy.Proxy
	used    int // characters
	rows    [][]string
}

// saverCount counts what writers have seen.
type saverCount struct {
	added, attempts, mismatches, unanswered int
	// ambiguous counts the saves that had no answer, and a mismatch when they were retried. Another writer saved in
	// between, and the service remembers only the last save_id.
	ambiguous int
}

func (c *saverCount) merge(o saverCount) {
	c.added, c.attempts, c.mismatches = c.added+o.added, c.attempts+o.attempts, c.mismatches+o.mismatches
	c.unanswered, c.ambiguous = c.unanswered+o.unanswered, c.ambiguous+o.ambiguous
}

func (v *savers) play(ctx context.Context, s *section, name string, shared, saves int, lose bool) error {
	characters := v.w.characters[v.used : v.used+saveWriters/shared]
	v.used += len(characters)
	began := time.Now()
	stop := make(chan struct{})
	var resets sync.WaitGroup
	if lose {
		resets.Go(func() { v.reset(stop) })
	}
	var all saverCount
	var errs []error
	var mu sync.Mutex
	var writers sync.WaitGroup
	for i := range saveWriters {
		writers.Go(func() {
			via := i + i/len(characters) // writers of one character use different processes
			c, err := v.write(ctx, v.clients[via%2], characters[i%len(characters)], saves)
			mu.Lock()
			defer mu.Unlock()
			all.merge(c)
			errs = append(errs, err)
		})
	}
	writers.Wait()
	close(stop)
	resets.Wait()
	v.rows = append(v.rows, []string{name, strconv.Itoa(all.added), strconv.Itoa(all.attempts), strconv.Itoa(all.mismatches),
		strconv.Itoa(all.unanswered), strconv.Itoa(all.ambiguous), strconv.FormatFloat(time.Since(began).Seconds(), 'f', 1, 64)})
	if shared == 1 {
		all.ambiguous = 0 // there is no other writer
	}
	return errors.Join(append(errs, v.judge(ctx, s, name, characters, all))...)
}

// judge compares the acknowledged saves with the database.
func (v *savers) judge(ctx context.Context, s *section, name string, characters []int64, all saverCount) error {
	money, seconds, err := v.w.totals(ctx, characters)
	goal := thousands(all.added)
	if all.ambiguous > 0 {
		goal += " to " + thousands(all.added+all.ambiguous)
	}
	s.add("Saves, "+name+": the sum", goal, fmt.Sprintf("money %s, play time %s", thousands(int(money)), thousands(int(seconds))),
		money == seconds && int(money) >= all.added && int(money) <= all.added+all.ambiguous)
	return err
}

func (v *savers) write(ctx context.Context, c clients, character int64, saves int) (n saverCount, err error) {
	a := &account{character: character}
	defer func() { n.added = a.added }()
	lost := false // whether an answer to the pending save was lost
	for fresh := false; a.added < saves; {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if !fresh {
			fresh = a.read(ctx, c.characters) == nil
			continue
		}
		n.attempts++
		switch err := a.add(ctx, c.characters); {
		case err == nil:
			lost = false
		case isMismatch(err):
			n.mismatches++
			if lost {
				n.ambiguous++
			}
			a.pending, lost, fresh = nil, false, false
		default:
			n.unanswered++
			lost = true
		}
	}
	return n, nil
}

// reset resets the connections of a random proxy again and again, until stop is closed.
func (v *savers) reset(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(rand.N(resetMostEvery)):
			v.proxies[rand.IntN(len(v.proxies))].Reset()
		}
	}
}
