package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	sigtermRounds  = 20
	sigtermCallers = 64
	sigtermExit    = 5 * time.Second
)

func runSigterm(ctx context.Context, w *world) (section, error) {
	s := section{title: "SIGTERM under full load"}
	requests := w.cachedRequests()
	for i := range readKeys {
		requests = append(requests, wireRequest("CharacterDbService", "GetCharacterList", fullList(w.users[i])),
			wireRequest("SessionService", "GetSession", &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: w.tokens[i]}}))
	}
	all := sigtermCount{codes: map[string]int{}}
	rounds := w.count2(4, sigtermRounds)
	for range rounds {
		if err := all.round(ctx, w, requests); err != nil {
			return s, err
		}
	}
	all.report(&s, rounds)
	return s, nil
}

// sigtermCount counts the results of the requests of all rounds.
type sigtermCount struct {
	mu       sync.Mutex
	answered int            // after the signal
	codes    map[string]int // the codes of these answers
	lost     int            // sent on a connection with earlier answers, which ended without an answer
	cut      int            // with an incomplete answer
	unheard  int            // sent on a new connection, which ended without an answer
	refused  int            // no connection: the last attempt of each caller
	exits    []time.Duration
	bad      []string // exits with another code than 0
}

func (c *sigtermCount) round(ctx context.Context, w *world, requests [][]byte) error {
	p, err := w.start(ctx)
	if err != nil {
		return err
	}
	addr := strings.TrimPrefix(p.url, "http://")
	signaled := make(chan struct{})
	var callers sync.WaitGroup
	for i := range sigtermCallers {
		callers.Go(func() {
			caller := wire{addr: addr}
			defer caller.close()
			for n := i; ; n += sigtermCallers {
				if c.count(caller.call(requests[n*7919%len(requests)]), signaled) {
					return
				}
			}
		})
	}
	testbed.Pause(ctx, 400*time.Millisecond+rand.N(200*time.Millisecond))
	close(signaled)
	at := time.Now()
	err = p.Signal(syscall.SIGTERM)
	select {
	case <-p.Done():
	case <-time.After(2 * sigtermExit):
		p.Kill()
	}
	c.exits = append(c.exits, time.Since(at))
	if err := p.Wait(); err != nil {
		c.bad = append(c.bad, err.Error())
	}
	callers.Wait()
	_ = p.close() // the error is in c.bad
	return err
}

// count counts an answer. It reports whether the server is gone.
func (c *sigtermCount) count(a wireAnswer, signaled <-chan struct{}) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case a.code == wireRefused:
		c.refused++
		return true
	case a.code == wireCut:
		c.cut++
	case a.code == wireLost && a.fresh:
		c.unheard++
	case a.code == wireLost:
		c.lost++
	}
	select {
	case <-signaled:
		if a.begun && a.code != wireCut {
			c.answered++
			c.codes[a.code]++
		}
	default:
	}
	return false
}

func (c *sigtermCount) report(s *section, rounds int) {
	errs := c.answered - c.codes[""]
	failed := c.lost + c.cut + errs
	s.add(fmt.Sprintf("SIGTERM at full load, %d times: failed requests on connections that the server had accepted", rounds), "0",
		fmt.Sprintf("%d: %d lost with a connection that was closed as idle, %d cut off, %d errors (%s)", failed, c.lost, c.cut, errs, listCodes(c.codes)), failed == 0)
	var slowest time.Duration
	for _, d := range c.exits {
		slowest = max(slowest, d)
	}
	s.add("SIGTERM: time until the process has ended", "5 s", "at most "+inMS(slowest)+" ms", slowest <= sigtermExit)
	s.add("SIGTERM: exits with another code than 0", "0", strconv.Itoa(len(c.bad))+" "+strings.Join(c.bad, "; "), len(c.bad) == 0)
	s.note("%d callers, each sending the next request as soon as it has an answer. %d requests were answered that were running at the signal or came after it. "+
		"A request is lost if it was sent on a connection with earlier answers, and the connection ended without a byte of an answer: "+
		"HTTP clients do not retry a POST in this case, because it may have changed something. In addition, %d requests were sent "+
		"on a new connection that the kernel had accepted and the server had not, and got no answer. %d connection attempts were refused, as expected after the end.",
		sigtermCallers, c.answered, c.unheard, c.refused)
}
