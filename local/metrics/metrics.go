// Package metrics exports the program's metrics in Prometheus's format. Dashboards and alerts depend on the names and labels.
// scripts/observability lists them.
//
// The program bounds the number of series; callers cannot add any. A label's values are the rpcs of the .proto files, the
// protocols, Twirp's codes, the Redis commands that this program sends, and constants of this package. The value is "none"
// if a request was not routed or has no known protocol.
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
	// none replaces an empty label value, which Prometheus treats as a missing label.
	none = "none"
)

var (
	// From a cache hit, 0.2 ms, to the budget of a request, 1 s.
	requestBuckets = [...]float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1}
	// A Redis call has at most 50 ms, a statement 500 ms.
	redisBuckets    = []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1}
	postgresBuckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5}
)

// Metrics counts what the program does. Its methods may be called concurrently.
type Metrics struct {
	registry   *prometheus.Registry
	served     *prometheus.Registry // requests and durations only: see Snapshot
	now        func() now           // nil: no program is watched
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	commands   *commands
	statements map[string]prometheus.Observer // by error class
	waits      prometheus.Histogram
}

// New returns Metrics with all counts at zero. revision names the program's sources if the build does not know them; it may
// be empty.
func New(revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		served:   prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total", Help: "Answered requests, by Twirp code (ok: no error).",
		}, []string{"rpc", "protocol", "code"}),
		durations:  histograms("", "request_duration_seconds", "Time from the header of a request to its answer.", requestBuckets[:], "rpc", "protocol"),
		commands:   newCommands(),
		statements: map[string]prometheus.Observer{},
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "postgres", Name: "connection_wait_seconds", Help: "Time until a statement got a connection, or gave up.",
			Buckets: postgresBuckets,
		}),
	}
	statements := histograms("postgres", "statement_duration_seconds",
		"Time of the statements on one connection; 0 with class unavailable if no connection was free.", postgresBuckets, "class")
	for _, class := range postgres.ErrorClasses() {
		m.statements[class] = statements.WithLabelValues(class)
	}
	m.registry.MustRegister(m.requests, m.durations, m.commands.took, m.commands.unanswered, statements, m.waits, buildInfo(revision),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.served.MustRegister(m.requests, m.durations)
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
	m.requests.WithLabelValues(rpc, protocol, string(twirp.Internal)) // start the error series at 0: a series that starts at 1 has no rate, and raises no alert
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
