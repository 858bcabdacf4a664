package boot

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Telemetry is what watches a program. What is nil is not watched, and costs nothing. Its functions are called while a
// request waits, and by many at once.
type Telemetry struct {
	Requests  rpcserver.Observer
	Statement func(waited, took time.Duration, err error)           // see postgres.Options
	Redis     func(command string, took time.Duration, failed bool) // see cache.ConnectOptions

	// Traces: requests, what they ask of PostgreSQL, and of Redis.
	Tracer     rpcserver.Tracer
	Queries    pgx.QueryTracer
	TraceRedis func(redis.UniversalClient)

	// Started is told of the program that was opened with this. Finish is called at the end of each invocation of a function,
	// before its answer: afterwards the process is frozen.
	Started func(*Program)
	Finish  func(context.Context)
}

// AtFinish has f called at the end of each invocation, after what is called then already.
func (t *Telemetry) AtFinish(f func(context.Context)) {
	before := t.Finish
	t.Finish = func(ctx context.Context) {
		if before != nil {
			before(ctx)
		}
		f(ctx)
	}
}

// Traces is what records spans: package tracing, which only some programs link.
type Traces interface {
	Requests() rpcserver.Tracer
	Queries() pgx.QueryTracer
	Redis(redis.UniversalClient)
	Flush(context.Context)
}

// Trace has t record what the program does, and flush at the end of an invocation where this is a function.
func (t *Telemetry) Trace(with Traces, function bool) {
	t.Tracer, t.Queries, t.TraceRedis = with.Requests(), with.Queries(), with.Redis
	if function {
		t.AtFinish(with.Flush)
	}
}
