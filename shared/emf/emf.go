// Package emf writes the metrics of a Lambda function: one line in CloudWatch's embedded metric format for each invocation.
// CloudWatch Logs turns the lines into metrics. There is no API to call and nothing to flush, so a function that is frozen
// after its answer loses nothing.
//
// CloudWatch bills each combination of a metric and its dimensions' values, and each byte of the log. Therefore only Requests
// has the dimensions rpc and code, and Duration the dimension rpc; every other metric exists once per deployment. The line
// still contains the rpc, the protocol and the cache status, for searches. Zeros are left out: use sums and maxima.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package emf

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

// Namespace is the namespace of the metrics.
const Namespace = "DatabaseService"

// Options of Metrics.
type Options struct {
	To io.Writer // gets each line in one call
	// Level is the lowest level of the function's log. Lambda drops lines below it, and treats a line without one as INFO.
	Level slog.Level
	// Stage names the deployment. It separates its metrics from those of other deployments in the same account. It may be empty.
	Stage             string
	Version, Revision string // of the program, for searches
}

// Metrics counts what a process does, and writes it. Its methods may be called concurrently.
type Metrics struct {
	to    io.Writer
	text  fixed
	redis struct{ calls, failures, took atomic.Int64 }
	sql   struct{ uses, waited, took atomic.Int64 }
	cache *cache.Cache
	db    *postgres.DB

	mu   sync.Mutex
	last totals // as of the last line
	buf  []byte
}

// New returns Metrics with all counts at zero.
func New(o Options) *Metrics { return &Metrics{to: o.To, text: newFixed(o)} }

// Watch adds the counts of the cache and the database. It must be called before the first line is written.
func (m *Metrics) Watch(c *cache.Cache, db *postgres.DB) { m.cache, m.db = c, db }

// Redis counts a call to Redis. It is for cache.ConnectOptions.
func (m *Metrics) Redis(_ string, took time.Duration, failed bool) {
	m.redis.calls.Add(1)
	m.redis.took.Add(took.Microseconds())
	if failed {
		m.redis.failures.Add(1)
	}
}

// Statement counts one use of a PostgreSQL connection. It is for postgres.Options.
func (m *Metrics) Statement(waited, took time.Duration, _ error) {
	m.sql.uses.Add(1)
	m.sql.waited.Add(waited.Microseconds())
	m.sql.took.Add(took.Microseconds())
}

// Write writes the line of the context's request, with everything counted since the line before. If requests run
// concurrently, a line may contain counts of another request; each count is in exactly one line.
func (m *Metrics) Write(ctx context.Context) {
	record := request.From(ctx)
	if record == nil {
		record = &request.Record{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.read()
	did := now.since(m.last)
	m.last = now
	m.buf = m.text.appendLine(m.buf[:0], time.Now(), record, did)
	_, _ = m.to.Write(m.buf) // there is no other place to report the error
}
