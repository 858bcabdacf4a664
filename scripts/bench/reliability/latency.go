package main

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// timing is one request of a stream.
type timing struct {
	at   time.Duration // when it was due, since the start of the stream
	took time.Duration // from then to its answer: waiting for a free caller counts
	code string        // "" if it succeeded
}

func (t timing) end() time.Duration { return t.at + t.took }

// stream sends requests at a fixed rate, however long they take. Callers that wait for an answer before the next request
// would send fewer requests just when answers are slow.
type stream struct {
	began time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup
	mu    sync.Mutex
	all   []timing
}

// startStream makes rate calls a second, from that many callers: so at most that many calls run at a time. call gets
// numbers from 0 on and returns the code of its answer; see codeOf.
func startStream(ctx context.Context, rate, callers int, call func(ctx context.Context, i int) string) *stream {
	calls := context.WithoutCancel(ctx) // calls that are running at the end complete
	ctx, stop := context.WithCancel(ctx)
	s := &stream{began: time.Now(), stop: stop}
	var next atomic.Int64
	for range callers {
		s.done.Go(func() {
			var mine []timing
			for {
				i := int(next.Add(1)) - 1
				due := time.Duration(i) * time.Second / time.Duration(rate)
				if !testbed.Pause(ctx, due-s.now()) {
					break
				}
				code := call(calls, i)
				mine = append(mine, timing{at: due, took: s.now() - due, code: code})
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.all = append(s.all, mine...)
		})
	}
	return s
}

func (s *stream) now() time.Duration { return time.Since(s.began) }

// finish ends the stream and returns its requests in the order in which they were due.
func (s *stream) finish() timings {
	s.stop()
	s.done.Wait()
	slices.SortFunc(s.all, func(a, b timing) int { return int(a.at - b.at) })
	return s.all
}

// timings are sorted by the time at which they were due.
type timings []timing

// between returns those that were due in [from, to).
func (ts timings) between(from, to time.Duration) timings {
	first, _ := slices.BinarySearchFunc(ts, from, func(t timing, at time.Duration) int { return int(t.at - at) })
	last, _ := slices.BinarySearchFunc(ts, to, func(t timing, at time.Duration) int { return int(t.at - at) })
	return ts[first:max(first, last)]
}

// codes counts the requests by code.
func (ts timings) codes() map[string]int {
	n := map[string]int{}
	for _, t := range ts {
		n[t.code]++
	}
	return n
}

func (ts timings) failed() int { return len(ts) - ts.codes()[""] }

// succeeded returns the requests without a code.
func (ts timings) succeeded() timings {
	return slices.DeleteFunc(slices.Clone(ts), func(t timing) bool { return t.code != "" })
}

// quantile is 0 if there are no requests.
func (ts timings) quantile(q float64) time.Duration {
	if len(ts) == 0 {
		return 0
	}
	took := make([]time.Duration, len(ts))
	for i, t := range ts {
		took[i] = t.took
	}
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

func (ts timings) worst() time.Duration { return ts.quantile(1) }

// firstSuccess is when the first success was answered that came after at.
func (ts timings) firstSuccess(at time.Duration) (time.Duration, bool) {
	first, found := time.Duration(0), false
	for _, t := range ts {
		if t.code == "" && t.end() >= at && (!found || t.end() < first) {
			first, found = t.end(), true
		}
	}
	return first, found
}

// row is a row of a table with timingHead as its head.
func (ts timings) row(name string) []string {
	return []string{name, strconv.Itoa(len(ts)), strconv.Itoa(ts.failed()), inMS(ts.quantile(0.5)), inMS(ts.quantile(0.99)), inMS(ts.worst())}
}

func timingHead(first string) []string {
	return []string{first, "requests", "failed", "p50 ms", "p99 ms", "worst ms"}
}

// inMS formats d in milliseconds, with two decimals.
func inMS(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1000, 'f', 2, 64) }

// listCodes lists the failures, for example "3 x unavailable DATABASE_UNAVAILABLE, 1 x no answer".
func listCodes(n map[string]int) string {
	text := ""
	for _, code := range slices.Sorted(maps.Keys(n)) {
		if code != "" && n[code] > 0 {
			text += ", " + strconv.Itoa(n[code]) + " x " + code
		}
	}
	if text == "" {
		return "none"
	}
	return text[2:]
}

// newBoundedClients returns clients with at most n connections.
func newBoundedClients(url string, n int) clients {
	c := newClients(url)
	c.http.Transport.(*http.Transport).MaxConnsPerHost = n
	return c
}
