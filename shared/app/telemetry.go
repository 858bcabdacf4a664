package app

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Telemetry observes a program. A nil field observes nothing and costs nothing. Requests wait for its functions, which
// are called concurrently.
type Telemetry struct {
	Requests  rpcserver.Observer
	Statement func(waited, took time.Duration, err error)           // see postgres.Options
	Redis     func(command string, took time.Duration, failed bool) // see cache.ConnectOptions

	// Traces of requests, their statements, and their calls to Redis.
	Tracer     rpcserver.Tracer
	Queries    pgx.QueryTracer
	TraceRedis func(redis.UniversalClient)

	// Started is called with the program after Open.
	Started func(*Program)
	// Finish runs at the end of each invocation of a function, before its response: afterwards the process is frozen.
	Finish func(context.Context)
}

// AtFinish adds f to the end of each invocation, after the functions that were added before.
func (t *Telemetry) AtFinish(f func(context.Context)) {
	before := t.Finish
	t.Finish = func(ctx context.Context) {
		if before != nil {
			before(ctx)
		}
		f(ctx)
	}
}

// Traces records spans. Package tracing implements it; only some programs link that package.
type Traces interface {
	Requests() rpcserver.Tracer
	Queries() pgx.QueryTracer
	Redis(redis.UniversalClient)
	Flush(context.Context)
}

// Trace makes the program record spans, and a function flush them at the end of each invocation.
func (t *Telemetry) Trace(with Traces, function bool) {
	t.Tracer, t.Queries, t.TraceRedis = with.Requests(), with.Queries(), with.Redis
	if function {
		t.AtFinish(with.Flush)
	}
}
