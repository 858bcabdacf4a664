// Package emf has a Lambda function tell CloudWatch what it did: one line of the embedded metric format for each
// invocation, which CloudWatch Logs makes metrics of. There is nothing to call and nothing to flush, and a function that is
// frozen after its answer has lost nothing.
//
// CloudWatch bills each combination of a metric with values of its dimensions, and each byte of the log. So only requests
// have their rpc and code as dimensions, and durations their rpc; the rest is one metric of the deployment, and its rpc,
// protocol and cache result are in the line for whoever searches it. What is zero is left out: look at sums and maxima.
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

// Namespace is that of the metrics.
const Namespace = "DatabaseService"

// Options of Metrics.
type Options struct {
	To io.Writer // gets a line in one call
	// Level is the least that the function's log has. Lambda drops lines below it, and takes one that says none for INFO.
	Level slog.Level
	// Stage names the deployment, and keeps its metrics apart from those of another in the same account. Empty: there is one.
	Stage             string
	Version, Revision string // of the program, for those who search the lines
}

// Metrics count what a process does, and write it. Its methods may be called at once by many.
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

// New returns Metrics that have counted nothing.
func New(o Options) *Metrics { return &Metrics{to: o.To, text: newFixed(o)} }

// Watch adds what these two count of themselves. It must be called before the first line is written.
func (m *Metrics) Watch(c *cache.Cache, db *postgres.DB) { m.cache, m.db = c, db }

// Redis counts a call to Redis: see cache.ConnectOptions.
func (m *Metrics) Redis(_ string, took time.Duration, failed bool) {
	m.redis.calls.Add(1)
	m.redis.took.Add(took.Microseconds())
	if failed {
		m.redis.failures.Add(1)
	}
}

// Statement counts a use of a connection to PostgreSQL: see postgres.Options.
func (m *Metrics) Statement(waited, took time.Duration, _ error) {
	m.sql.uses.Add(1)
	m.sql.waited.Add(waited.Microseconds())
	m.sql.took.Add(took.Microseconds())
}

// Write writes the line of the request with the context, and of all that was counted since the line before: with many
// requests at once a line may have what another one did, and each thing is in one line.
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
	_, _ = m.to.Write(m.buf) // metrics that cannot be written have nowhere to say so
}
