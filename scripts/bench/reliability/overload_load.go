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

// refusedPause is the mean time that a caller waits after a refusal.
const refusedPause = 100 * time.Millisecond

// closedLoad runs callers with one connection each. A caller sends the next call as soon as it has an answer, and after
// a pause if the call failed.
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

// openLoad makes rate calls a second on at most that many connections. Latency counts from when a call is sent, not from
// when it was due: if the generator cannot keep up, its own queue would be measured otherwise.
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

// goodput is the number of successes a second, answered in [from, to).
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

// memory is the peak resident memory of a process in MiB, and 0 if the system does not report it.
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
