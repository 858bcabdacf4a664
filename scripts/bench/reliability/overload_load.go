package main

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// refusedPause is about how long a caller waits who was refused, before he asks again.
const refusedPause = 100 * time.Millisecond

// closedLoad has so many callers with a connection each, who ask again as soon as they have an answer, or after a pause
// where they were refused.
func closedLoad(ctx context.Context, addr string, callers int, d time.Duration, request func(i int) []byte) timings {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	began := time.Now()
	all := make([]timings, callers)
	var done sync.WaitGroup
	for c := range callers {
		done.Go(func() {
			w := wire{addr: addr}
			defer w.close()
			for i := c; ctx.Err() == nil; i += callers {
				at := time.Since(began)
				a := w.call(request(i))
				all[c] = append(all[c], timing{at: at, took: time.Since(began) - at, code: a.code})
				if a.code != "" {
					testbed.Pause(ctx, refusedPause/2+rand.N(refusedPause))
				}
			}
		})
	}
	done.Wait()
	return sorted(slices.Concat(all...))
}

// openLoad has rate calls a second made, on at most so many connections; each counts from when it is sent, for where
// the load is more than the generator can offer its own queue would be measured.
func openLoad(ctx context.Context, addr string, rate, callers int, d time.Duration, request func(i int) []byte) timings {
	idle := make(chan *wire, callers)
	for range callers {
		idle <- &wire{addr: addr}
	}
	began := time.Now()
	var mu sync.Mutex
	var all timings
	s := startStream(ctx, rate, callers, func(_ context.Context, i int) string {
		w := <-idle
		at := time.Since(began)
		a := w.call(request(i))
		t := timing{at: at, took: time.Since(began) - at, code: a.code}
		idle <- w
		mu.Lock()
		defer mu.Unlock()
		all = append(all, t)
		return a.code
	})
	testbed.Pause(ctx, d)
	s.finish()
	for range callers {
		(<-idle).close()
	}
	return sorted(all)
}

// goodput is the successes a second that were answered in [from, to).
func (ts timings) goodput(from, to time.Duration) float64 {
	n := 0
	for _, t := range ts {
		if t.code == "" && t.end() >= from && t.end() < to {
			n++
		}
	}
	return float64(n) / (to - from).Seconds()
}

func sorted(ts timings) timings {
	slices.SortFunc(ts, func(a, b timing) int { return int(a.at - b.at) })
	return ts
}

// memory is the most that a process has had in memory so far, in MiB; 0 where the system does not tell.
func memory(pid int) int {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.Atoi(fields[0])
	return kb / 1024
}
