package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	sharedTime = time.Minute // of load for each of the two runs
	hitRateMay = 0.05        // how much of the hit rate another database may cost

	// stagingSQL changes what the load reads, so that an answer shows its database. Ids, usernames and e-mails are the same in both.
	stagingSQL = `UPDATE "user" SET "displayUsername" = replace("displayUsername", 'User', 'Other');
UPDATE game.character SET name = replace(name, 'Hero', 'Other')`

	sharedLogLine = "another database uses the same redis"
)

// runShared runs the load of the staleness part on two databases at the same time, first with a Redis for each of them,
// then with one Redis for both. So both runs have the same load on the machine.
func runShared(ctx context.Context, w *world) (section, error) {
	s := section{title: "Two databases on one Redis"}
	apart, err := playPair(ctx, w.program, w.options, false)
	if err != nil {
		return s, err
	}
	together, err := playPair(ctx, w.program, w.options, true)
	if err != nil {
		return s, err
	}
	var rows [][]string
	for i, name := range []string{"first", "second"} {
		a, b := apart[i], together[i]
		reads := b.tally.reads()
		s.add("answers of the other database, "+name+" database", "0", fmt.Sprintf("%d of %s", b.tally.foreign+b.tally.invented, thousands(reads)),
			b.tally.foreign+b.tally.invented == 0 && reads > 0)
		s.add(fmt.Sprintf("reads staler than %v, %s database", bound, name), "0", fmt.Sprintf("%d, the worst %v", b.tally.all().over, ms(b.tally.all().worst)),
			b.tally.all().over == 0)
		s.add("failed requests, "+name+" database", "0", fmt.Sprint(b.failed), b.failed == 0)
		s.add("hit rate to the hit rate with an own Redis, "+name+" database", fmt.Sprintf("at least %.2f", 1-hitRateMay),
			fmt.Sprintf("%.3f", b.hitRate/a.hitRate), b.hitRate >= (1-hitRateMay)*a.hitRate)
		s.add("log lines that say that the Redis is shared, "+name+" database's process", "1; 0 with an own Redis",
			fmt.Sprintf("%d; %d", b.reports, a.reports), b.reports == 1 && a.reports == 0)
		rows = append(rows, a.row(name, "own Redis"), b.row(name, "one Redis"))
	}
	s.table([]string{"database", "run", "reads", "hit rate", "updates", "saves"}, rows)
	return s, nil
}

// result is what one database's load observed.
type result struct {
	tally   *tally
	failed  int
	hitRate float64 // hits to reads of the cache
	reports int     // log lines
}

func (r result) row(database, run string) []string {
	return []string{database, run, thousands(r.tally.reads()), fmt.Sprintf("%.1f %%", 100*r.hitRate), thousands(r.tally.updates), thousands(r.tally.saves)}
}

// playPair runs the load on two new databases.
func playPair(ctx context.Context, p *program, o options, oneRedis bool) (results [2]result, err error) {
	var worlds [2]*world
	for i := range worlds {
		if worlds[i], err = newWorld(ctx, p, o); err != nil {
			return results, err
		}
		defer func() { err = errors.Join(err, worlds[i].close()) }()
	}
	if _, err := worlds[1].DB.Exec(ctx, stagingSQL); err != nil {
		return results, err
	}
	if oneRedis {
		worlds[1].Redis = worlds[0].Redis // its own one is idle; close stops it
	}
	log.Printf("two databases, one Redis for both: %v", oneRedis)
	var wg sync.WaitGroup
	var errs [2]error
	for i, w := range worlds {
		wg.Go(func() {
			results[i], errs[i] = playDatabase(ctx, w, []string{"User", "Other"}[i], []string{"Hero", "Other"}[i])
		})
	}
	wg.Wait()
	return results, errors.Join(errs[:]...)
}

// playDatabase runs the load on one process of a database.
func playDatabase(ctx context.Context, w *world, userMark, characterMark string) (r result, err error) {
	port, err := testbed.FreePort()
	if err != nil {
		return r, err
	}
	admin := net.JoinHostPort(testbed.Loopback, port)
	p, err := w.start(ctx, "ADMIN_ADDR="+admin)
	if err != nil {
		return r, err
	}
	l := newLoad(w, []*process{p})
	l.userMark, l.characterMark = userMark, characterMark
	seconds := sharedTime
	if w.quick {
		seconds /= 10
	}
	one := &phase{tally: &tally{name: "load"}, least: seconds, most: seconds, enough: func() bool { return true }}
	if err := l.play(ctx, nil, []*phase{one}); err != nil {
		return r, err
	}
	r.tally, r.failed = one.tally, len(l.failures)
	if r.hitRate, err = p.hitRate(ctx, admin); err != nil {
		return r, err
	}
	text, err := os.ReadFile(p.logFile)
	r.reports = bytes.Count(text, []byte(sharedLogLine))
	return r, err
}

// hitRate returns the share of hits in the process's cache reads, from its metrics.
func (p *process) hitRate(ctx context.Context, admin string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	reply, err := p.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	hits, all := 0.0, 0.0
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		_, status, found := strings.Cut(lines.Text(), "cache_reads_total{status=\"")
		if !found {
			continue
		}
		status, count, _ := strings.Cut(status, "\"} ")
		n, err := strconv.ParseFloat(count, 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: cache_reads_total: %w", err)
		}
		if all += n; status == "hit" || status == "memory" {
			hits += n
		}
	}
	if all == 0 {
		return 0, errors.New("metrics: no cache_reads_total")
	}
	return hits / all, nil
}
