package console

import (
	"math"
	"sync"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
)

const (
	// sampleEvery is the least time between two samples, so that many viewers cost as much as one.
	sampleEvery = time.Second
	// maxGap is the longest time between two samples of a series. A rate over a longer time would not be a present value.
	maxGap     = 10 * time.Second
	maxSamples = 60
	// window is the time that a chart shows.
	window = 2 * time.Minute
)

// sample is the state of the program at one moment.
type sample struct {
	at time.Time
	metrics.Snapshot
	requests uint64            // of all rpcs
	took     metrics.Durations // of all rpcs
}

// sampler keeps the last samples. It takes one only for a page, so it costs nothing while no page is open.
type sampler struct {
	take func() metrics.Snapshot
	now  func() time.Time

	mu      sync.Mutex
	samples []sample // oldest first
}

func newSampler(take func() metrics.Snapshot) *sampler { return &sampler{take: take, now: time.Now} }

// look returns the last samples, oldest first. The newest is at most sampleEvery old.
func (s *sampler) look() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if n := len(s.samples); n > 0 {
		switch age := now.Sub(s.samples[n-1].at); {
		case age > maxGap:
			s.samples = nil
		case age <= sampleEvery:
			return s.samples
		}
	}
	one := sample{at: now, Snapshot: s.take()}
	for _, r := range one.RPCs {
		one.requests += r.Requests
		for i, n := range r.Took {
			one.took[i] += n
		}
	}
	var kept []sample // a new slice, because other pages may still read the old one
	for _, old := range s.samples[max(0, len(s.samples)-maxSamples+1):] {
		if now.Sub(old.at) <= window {
			kept = append(kept, old)
		}
	}
	s.samples = append(kept, one)
	return s.samples
}

// since returns the requests between two samples by duration.
func (s sample) since(before sample) (took metrics.Durations) {
	for i, n := range s.took {
		took[i] = n - before.took[i]
	}
	return took
}

// quantile returns the duration in seconds that the part q of the requests does not exceed, interpolated within its bucket. It is
// +Inf in the last bucket, and NaN without requests.
func quantile(q float64, took metrics.Durations) float64 {
	var all uint64
	for _, n := range took {
		all += n
	}
	if all == 0 {
		return math.NaN()
	}
	rank, below, low := q*float64(all), 0.0, 0.0
	for i, n := range took {
		high := took.Bound(i)
		if n > 0 && below+float64(n) >= rank {
			if math.IsInf(high, 1) {
				return high
			}
			return low + (high-low)*(rank-below)/float64(n)
		}
		below, low = below+float64(n), high
	}
	return math.Inf(1) // not reached: below is all
}
