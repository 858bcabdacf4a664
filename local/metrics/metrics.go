// Package metrics shows in Prometheus' format what a program does. Its names and labels are a contract with dashboards
// and alerts, as README's table has it.
//
// How many series there are is bounded by the program and not by its callers: a label's values are the rpcs of the .proto
// files, the protocols and Twirp's codes, the Redis commands that this program sends, and words of this package. What was not
// routed, or came in by no protocol, is "none".
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

const (
	namespace = "database_service"
	// none is the label of what has no name. An empty label is as good as none at all to Prometheus.
	none = "none"
)

var (
	// From a hit, 0.2 ms, to the budget of a request. What ran out of it is beyond the last one.
	requestBuckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1}
	// A call to Redis has 50 ms, and a statement 500 ms.
	redisBuckets    = []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1}
	postgresBuckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5}
)

// Metrics counts. Its methods may be called concurrently.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	commands   *commands
	statements map[string]prometheus.Observer // by error class
	waits      prometheus.Histogram
}

// New returns Metrics that have counted nothing. The revision is that of the program's sources, as far as the build does
// not know it; it may be empty.
func New(revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total", Help: "Requests answered, by Twirp's code (ok: no error).",
		}, []string{"rpc", "protocol", "code"}),
		durations:  histograms("", "request_duration_seconds", "Time from a request's header to its answer.", requestBuckets, "rpc", "protocol"),
		commands:   newCommands(),
		statements: map[string]prometheus.Observer{},
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "postgres", Name: "connection_wait_seconds", Help: "Time until a connection was there, or given up.",
			Buckets: postgresBuckets,
		}),
	}
	statements := histograms("postgres", "statement_duration_seconds",
		"Time of the statements on one connection; 0 where none could be had, which is unavailable.", postgresBuckets, "class")
	for _, class := range postgres.ErrorClasses() {
		m.statements[class] = statements.WithLabelValues(class)
	}
	m.registry.MustRegister(m.requests, m.durations, m.commands.took, m.commands.unanswered, statements, m.waits, buildInfo(revision),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func histograms(subsystem, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets,
	}, labels)
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Class implements rpcserver.Observer.
func (m *Metrics) Class(c request.Class) func(time.Duration) {
	rpc, protocol := c.RPC(), string(c.Protocol)
	if c.Method == "" {
		rpc = none
	}
	if protocol == "" {
		protocol = none
	}
	m.requests.WithLabelValues(rpc, protocol, string(twirp.Internal)) // what comes into being as 1 has no rate, and no alert
	count, duration := m.requests.WithLabelValues(rpc, protocol, string(c.Code)), m.durations.WithLabelValues(rpc, protocol)
	return func(took time.Duration) {
		count.Inc()
		duration.Observe(took.Seconds())
	}
}

// Statement is for postgres.Options.Observe.
func (m *Metrics) Statement(waited, took time.Duration, err error) {
	m.waits.Observe(waited.Seconds())
	m.statements[postgres.ErrorClass(err)].Observe(took.Seconds())
}

// Redis is for cache.ConnectOptions.Observe.
func (m *Metrics) Redis(name string, took time.Duration, failed bool) {
	c := m.commands.get(name)
	c.took.Observe(took.Seconds())
	if failed {
		c.unanswered.Inc()
	}
}
