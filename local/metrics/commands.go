package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// commands are what this program says to Redis, a dozen words. A hit is one call, so that looking up the series by its
// labels each time would show.
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
		took: histograms("redis", "call_duration_seconds", "Time of a call to Redis, also of one without an answer.", redisBuckets, "command"),
		unanswered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "redis", Name: "unanswered_calls_total", Help: "Calls to Redis that got no answer in time.",
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
