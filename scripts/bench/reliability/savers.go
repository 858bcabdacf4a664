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
	savesOfWriter  = 1000 // and a quarter of that where answers are lost
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
	s.note("%d writers, each of whom saves through one of two processes, one request at a time: money and play time plus 1, under the version that he knows; "+
		"after VERSION_MISMATCH he reads again. Where answers are lost, connections between the writers and the processes, or between these and PostgreSQL, "+
		"are reset every %v or sooner, and a save without an answer is sent again under its save_id.", saveWriters, resetMostEvery)
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

// savers is the writers' way to the characters.
type savers struct {
	w       *world
	clients []clients
	proxies []*faultproxy.Proxy
	used    int // characters
	rows    [][]string
}

// saverCount is what writers have seen.
type saverCount struct {
	added, attempts, mismatches, unanswered int
	// ambiguous are the saves that had no answer, and then, sent again, a mismatch: another writer has saved since, and
	// the service remembers the last save_id only.
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
			via := i + i/len(characters) // those of one character go through different processes
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
		all.ambiguous = 0 // nobody else has saved
	}
	return errors.Join(append(errs, v.judge(ctx, s, name, characters, all))...)
}

// judge compares what was acknowledged with what there is.
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
	lost := false // an answer to the pending save
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

// reset breaks connections, of one kind or the other, until told to stop.
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
