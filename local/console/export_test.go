package console

import (
	"math"
	"net/http"
	"time"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/callers"
)

// StateAt returns the page State with a clock.
func StateAt(o Options, now func() time.Time) http.Handler {
	c := &Console{Options: o, samples: &sampler{take: o.State.Metrics, now: now}}
	return c.page(callers.Metrics, (*visit).state)
}

// Parts returns what the page says of the readiness, by part: state, meaning, and what to do.
func Parts(r Readiness, a About) map[string][3]string {
	all := map[string][3]string{}
	for _, p := range append(r.parts(a), r.headline()) {
		all[p.Name] = [3]string{string(p.Is), p.Means, p.Do}
	}
	return all
}

// Sampler keeps samples.
type Sampler struct{ sampler }

// NewSampler returns a Sampler with a clock.
func NewSampler(take func() metrics.Snapshot, now func() time.Time) *Sampler {
	return &Sampler{sampler{take: take, now: now}}
}

// Look returns how old the kept samples are.
func (s *Sampler) Look() (ages []time.Duration) {
	samples := s.look()
	for _, one := range samples {
		ages = append(ages, s.now().Sub(one.at))
	}
	return ages
}

// Charts returns what the charts show of the samples, by name: the value, the scale, and the line.
func (s *Sampler) Charts() map[string][3]string {
	all := map[string][3]string{}
	for _, c := range charts(s.look()) {
		all[c.Name] = [3]string{c.Value, c.Scale, c.Path}
	}
	return all
}

// Quantile returns the text and the value of a quantile in seconds.
func Quantile(q float64, took metrics.Durations) (string, float64) {
	v := quantile(q, took)
	if math.IsNaN(v) {
		return "", v
	}
	return milliseconds(v), v
}
