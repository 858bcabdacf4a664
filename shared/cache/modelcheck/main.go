// Command modelcheck explores every interleaving of the cache protocol on a small world: one entity, two readers, an own
// writer, transactions of the web application, and faults of Redis and PostgreSQL at any moment. It looks for a read that
// is staler than MaxStaleness, and for a read that misses a write which was acknowledged before the read began.
//
//	go run ./shared/cache/modelcheck            all states of all worlds; fails on a violation, and if a mutant is not found
//	go run ./shared/cache/modelcheck -bug NAME  the shortest way to what that mutant does
//
// It takes about a minute and 7 GB on two cores. A step of the model is one atomic act of the code: a command or a
// script of Redis, or a statement of PostgreSQL. A process that dies takes no further step. The clock has ticks: see the
// constants in model.go, which a test compares with those of package cache. Each world has one or two kinds of fault, and
// one fault in a run. A read must see an own write unless a failover may have lost the write or its deletion.
//
// In the worlds with a tier in the process, Redis is what the other worlds prove of it: what it serves is as new as the database
// was at the time of the watermark. The tier compares that time with the times of its own syncs, by the database's clock.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// wantStates is the least number of states in all worlds together: a smaller exploration would prove little.
const wantStates = 20_000_000

func main() {
	name := flag.String("bug", "", "plant one mutant and print what it does: "+fmt.Sprint(bugNames()))
	flag.Parse()
	if *name != "" {
		os.Exit(show(bug(slices.Index(bugNames(), *name) + 1)))
	}
	os.Exit(checkAll())
}

// job is one exploration.
type job struct {
	world  world
	bug    bug
	result result
}

// checkAll returns the exit code.
func checkAll() int {
	start := time.Now()
	var jobs []*job
	for _, w := range worlds {
		jobs = append(jobs, &job{world: w})
	}
	for b := noBug + 1; b < bugEnd; b++ {
		jobs = append(jobs, &job{world: b.world(), bug: b})
	}
	run(jobs)

	states, failed := 0, 0
	for _, j := range jobs {
		line, ok := j.report()
		fmt.Println(line)
		if !ok {
			failed++
		}
		if j.bug == noBug {
			states += j.result.states
		}
	}
	fmt.Printf("%d states without a mutant, at least %d wanted; %d failed; %.0f s\n", states, wantStates, failed, time.Since(start).Seconds())
	if failed > 0 || states < wantStates {
		return 1
	}
	return 0
}

// run does the jobs, two at once if there are two cores: each takes gigabytes.
func run(jobs []*job) {
	next := make(chan *job)
	var workers sync.WaitGroup
	for range min(2, runtime.NumCPU()) {
		workers.Go(func() {
			for j := range next {
				if j.bug == noBug {
					j.result = explore(j.world, noBug)
				} else {
					j.result = search(j.world, j.bug)
				}
				runtime.GC() // its table is a gigabyte
			}
		})
	}
	for _, j := range jobs {
		next <- j
	}
	close(next)
	workers.Wait()
}

// report returns a line, and whether the result is as it should be.
func (j *job) report() (string, bool) {
	r := j.result
	switch {
	case j.bug == noBug && r.violation == "":
		return fmt.Sprintf("ok    %-42s %10d states, no violation", j.world.name, r.states), true
	case j.bug == noBug:
		return fmt.Sprintf("FAIL  %-42s %10d states: %s", j.world.name, r.states, r.violation), false
	case r.violation == "":
		return fmt.Sprintf("FAIL  mutant %-38s %10d states, not found", j.bug, r.states), false
	}
	return fmt.Sprintf("ok    mutant %-38s %10d states, found in %d steps: %s", j.bug, r.states, len(r.trace), r.violation), true
}

func show(b bug) int {
	if b == noBug {
		fmt.Fprintln(os.Stderr, "there is no such mutant; there are", bugNames())
		return 2
	}
	r := explore(b.world(), b)
	fmt.Printf("%s in %q: %s\n", b, b.world().name, r.violation)
	for i, step := range r.trace {
		fmt.Printf("%3d  %s\n", i+1, step)
	}
	return 0
}
