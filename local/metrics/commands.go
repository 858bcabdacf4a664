package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// commands holds the series of each Redis command; the program sends about a dozen. A cache hit is one call, so looking up the
// series by label each time would be measurable.
type commands struct {
	took       *prometheus.HistogramVec
	unanswered *prometheus.CounterVec
	mu         sync.RWMutex
	byName     map[string]command
}

type command struct {
	took       prometheus.Observer
	unanswered prometheus.Counter
}

func newCommands() *commands {
	return &commands{
		took: histograms("redis", "call_duration_seconds", "Time of a Redis call, including calls without an answer.", redisBuckets, "command"),
		unanswered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "redis", Name: "unanswered_calls_total", Help: "Redis calls without an answer in time.",
		}, []string{"command"}),
		byName: map[string]command{},
	}
}

func (c *commands) get(name string) command {
	c.mu.RLock()
	known, ok := c.byName[name]
	c.mu.RUnlock()
	if ok {
		return known
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	made := command{c.took.WithLabelValues(name), c.unanswered.WithLabelValues(name)}
	c.byName[name] = made
	return made
}
