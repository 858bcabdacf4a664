package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
)

// Watch makes m count the actions of the program that is opened with t. Use t for one program only.
func (m *Metrics) Watch(t *app.Telemetry) {
	t.Requests, t.Statement, t.Redis = m, m.Statement, m.Redis
	t.Started = func(p *app.Program) {
		m.ask(func() now { return now{p.Edge().Limits(), p.Cache.Stats(), p.DB.Stats(), p.Callers.Any()} })
	}
}

// ask exports the counts that the program keeps itself. Each scrape calls f.
func (m *Metrics) ask(f func() now) {
	m.now = f
	m.registry.MustRegister(state{f, append(cacheFigures(), programFigures()...)})
}

// state is a collector.
type state struct {
	ask     func() now
	figures []figure
}

// now is the state of the program at one scrape.
type now struct {
	requests limiter.Stats
	cache    cache.Stats
	pool     postgres.Stats
	any      bool // any caller has all rights
}

// figure is one series.
type figure struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string
	of     func(now) float64
}

// Describe implements prometheus.Collector.
func (s state) Describe(to chan<- *prometheus.Desc) {
	for _, f := range s.figures {
		to <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(to chan<- prometheus.Metric) {
	n := s.ask()
	for _, f := range s.figures {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(n), f.labels...)
	}
}

func cacheFigures() []figure {
	reads := desc("cache_reads_total", "Cache lookups, by status.", "status")
	read := func(status cache.Status, of func(cache.Stats) uint64) figure {
		return figure{reads, prometheus.CounterValue, []string{status.String()}, func(n now) float64 { return float64(of(n.cache)) }}
	}
	count := func(name, help string, of func(cache.Stats) uint64) figure {
		return figure{desc("cache_"+name, help), prometheus.CounterValue, nil, func(n now) float64 { return float64(of(n.cache)) }}
	}
	return []figure{
		read(cache.Hit, func(s cache.Stats) uint64 { return s.Hits }),
		read(cache.Memory, func(s cache.Stats) uint64 { return s.MemoryHits }),
		read(cache.Miss, func(s cache.Stats) uint64 { return s.Misses }),
		read(cache.Untrusted, func(s cache.Stats) uint64 { return s.Untrusted }),
		read(cache.Bypassed, func(s cache.Stats) uint64 { return s.Bypassed }),
		count("fills_total", "Values written to Redis.", func(s cache.Stats) uint64 { return s.Fills }),
		count("refused_fills_total", "Values not written, because the entity changed while it was loaded.", func(s cache.Stats) uint64 { return s.RefusedFills }),
		count("syncs_total", "Syncs of the change log to Redis.", func(s cache.Stats) uint64 { return s.Syncs }),
		count("new_epochs_total", "Syncs that discarded every value.", func(s cache.Stats) uint64 { return s.NewEpochs }),
		count("failed_deletes_total", "Own writes whose old values could not be deleted from Redis.", func(s cache.Stats) uint64 { return s.FailedDeletes }),
		count("redis_errors_total", "Failed calls of the cache, and values that failed the check of their checksum.", func(s cache.Stats) uint64 { return s.RedisErrors }),
		count("memory_syncs_total", "Syncs of the change log to the process's memory.", func(s cache.Stats) uint64 { return s.MemorySyncs }),
		count("memory_restarts_total", "Times that the process's memory was emptied, and a new position in the change log was taken.", func(s cache.Stats) uint64 { return s.MemoryEras }),
		count("memory_refused_fills_total", "Values not kept in the process, because the entity may have changed since it was read.", func(s cache.Stats) uint64 { return s.MemoryRefusedFills }),
		level("cache_memory_bytes", "Size of what the process keeps; at most CACHE_MEMORY.", func(n now) float64 { return float64(n.cache.MemoryBytes) }),
		level("cache_watermark_age_seconds", "Age of the watermark at the last lookup.", func(n now) float64 { return n.cache.WatermarkAge.Seconds() }),
		level("cache_breaker_open", "1 while the breaker is open: Redis does not answer, and is asked rarely.", func(n now) float64 { return one(n.cache.BreakerOpen) }),
	}
}

func programFigures() []figure {
	connections := desc("postgres_connections", "Connections of the pool.", "state")
	connected := func(state string, of func(postgres.Stats) int) figure {
		return figure{connections, prometheus.GaugeValue, []string{state}, func(n now) float64 { return float64(of(n.pool)) }}
	}
	return []figure{
		level("requests_in_flight", "Requests being served.", func(n now) float64 { return float64(n.requests.Inside) }),
		level("requests_waiting", "Requests that wait for a slot.", func(n now) float64 { return float64(n.requests.Waiting) }),
		level("request_slots", "Slots for requests.", func(n now) float64 { return float64(n.requests.Capacity) }),
		level("callers_any", "1 if any caller that reaches the port has all rights, because CALLERS_FILE is not set.", func(n now) float64 { return one(n.any) }),
		connected("in_use", func(s postgres.Stats) int { return s.InUse }),
		connected("idle", func(s postgres.Stats) int { return s.Idle }),
		connected("connecting", func(s postgres.Stats) int { return s.Connecting }),
		level("postgres_max_connections", "Largest number of connections of the pool.", func(n now) float64 { return float64(n.pool.Max) }),
		level("postgres_waiting_statements", "Statements that wait for a connection.", func(n now) float64 { return float64(n.pool.Waiting) }),
		{
			desc("postgres_refused_statements_total", "Statements not started, because no connection was free in time."),
			prometheus.CounterValue, nil, func(n now) float64 { return float64(n.pool.Refused) },
		},
	}
}

// level is a gauge.
func level(name, help string, of func(now) float64) figure {
	return figure{desc(name, help), prometheus.GaugeValue, nil, of}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
