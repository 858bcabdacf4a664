package metrics

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Snapshot is the state of the program at one moment, with its counts since the start.
type Snapshot struct {
	RPCs   []RPC // each that was called
	Limits limiter.Stats
	Cache  cache.Stats
	Pool   postgres.Stats
}

// RPC has the counts of an rpc, over all protocols.
type RPC struct {
	Name     string // UserService/GetUser; "none" for requests without a route
	Requests uint64
	Errors   uint64 // answers with another code than ok
	Failures uint64 // the errors that are the service's fault: internal, unavailable, deadline_exceeded, resource_exhausted
	Took     Durations
}

// Durations counts requests by their duration. Durations[i] has those that took at most Bound(i), and longer than Bound(i-1).
type Durations [len(requestBuckets) + 1]uint64

// Bound returns the upper end of a bucket in seconds. The last bucket has none: +Inf.
func (d Durations) Bound(i int) float64 {
	if i >= len(requestBuckets) {
		return math.Inf(1)
	}
	return requestBuckets[i]
}

// Snapshot returns the present state. It costs about as much as a small scrape. Requests pay nothing for it.
func (m *Metrics) Snapshot() Snapshot {
	var s Snapshot
	if m.now != nil {
		n := m.now()
		s.Limits, s.Cache, s.Pool = n.requests, n.cache, n.pool
	}
	families, _ := m.served.Gather() // fails only if a collector of this package is wrong
	at := map[string]int{}
	for _, f := range families {
		for _, one := range f.GetMetric() {
			name := label(one, "rpc")
			i, known := at[name]
			if !known {
				i = len(s.RPCs)
				at[name] = i
				s.RPCs = append(s.RPCs, RPC{Name: name})
			}
			s.RPCs[i].add(one)
		}
	}
	return s
}

// add adds a series of requests_total or of request_duration_seconds.
func (r *RPC) add(one *dto.Metric) {
	if h := one.GetHistogram(); h != nil {
		r.Took.add(h)
		return
	}
	n := uint64(one.GetCounter().GetValue())
	r.Requests += n
	switch twirp.ErrorCode(label(one, "code")) {
	case "ok":
	case twirp.Internal, twirp.Unavailable, twirp.DeadlineExceeded, twirp.ResourceExhausted:
		r.Errors, r.Failures = r.Errors+n, r.Failures+n
	default:
		r.Errors += n
	}
}

// add adds the counts of a histogram. Its buckets are cumulative, and the last one, up to +Inf, is not among them.
func (d *Durations) add(h *dto.Histogram) {
	var below uint64
	for i, b := range h.GetBucket() {
		if i < len(requestBuckets) {
			d[i] += b.GetCumulativeCount() - below
			below = b.GetCumulativeCount()
		}
	}
	d[len(requestBuckets)] += h.GetSampleCount() - below
}

func label(one *dto.Metric, name string) string {
	for _, l := range one.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
