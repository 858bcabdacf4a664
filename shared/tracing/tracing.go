// Package tracing records requests, and what they ask of PostgreSQL and of Redis, as spans of OpenTelemetry, and sends them
// to a collector by OTLP over HTTP. It promises three things. A collector that is slow, hangs or is gone costs no request
// its answer. What a span says is chosen from lists: no argument of a call, text of an error or address is on them. Nothing
// is recorded below a request that is not: a statement outside of requests has no span.
//
// Its provider is not OpenTelemetry's global one, so that no library adds spans of its own.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	scope       = "github.com/osirose-new/database-service/shared/tracing"
	serviceName = "database-service" // where neither OTEL_SERVICE_NAME nor OTEL_RESOURCE_ATTRIBUTES has one
	// flushTime is for how long the answer of a function waits for the collector. Traces are worth no more.
	flushTime = 500 * time.Millisecond
	// closeTime is for how long the end of a program does.
	closeTime = time.Second
)

// Options of traces.
type Options struct {
	Endpoint string // URL that spans are sent to
	Log      *slog.Logger
	// Function says that this is a Lambda function: the parent of a request is X-Ray's, X-Ray takes the ids, and spans are
	// sent by Flush and at no other time.
	Function bool
}

// Traces records and sends spans. Its methods may be called concurrently.
type Traces struct {
	provider *sdk.TracerProvider
	function bool
}

// Open returns the traces of a program. It dials nothing. What the options do not say comes from OpenTelemetry's standard
// variables: sampler, limits, batches, attributes of the resource, headers, time-outs and certificates.
func Open(o Options) (*Traces, error) {
	ctx := context.Background()
	otel.SetErrorHandler(handler{o.Log})
	otel.SetLogger(logr.New(sink{o.Log}))
	collector := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(o.Endpoint)}
	if o.Function { // which has no time for a second try
		collector = append(collector, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	}
	exporter, err := otlptracehttp.New(ctx, collector...)
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	of, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", serviceName)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	clean := &cleaner{SpanExporter: exporter, log: o.Log}
	options := []sdk.TracerProviderOption{sdk.WithResource(of)}
	if o.Function {
		options = append(options, sdk.WithSpanProcessor(&held{exporter: clean, now: time.Now}), sdk.WithIDGenerator(xrayIDs{}))
	} else {
		options = append(options, sdk.WithBatcher(clean))
	}
	return &Traces{provider: sdk.NewTracerProvider(options...), function: o.Function}, nil
}

// Requests returns what records the requests of an edge.
func (t *Traces) Requests() rpcserver.Tracer {
	return &requests{tracer: t.provider.Tracer(scope), function: t.function, kinds: map[request.Class]*kind{}}
}

// Queries returns what records the statements of a pool, its waits and its connects.
func (t *Traces) Queries() pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider), otelpgx.WithMeterProvider(noop.NewMeterProvider()),
		otelpgx.WithDisableConnectionDetailsInAttributes())
}

// Redis records the calls of client from now on.
func (t *Traces) Redis(client redis.UniversalClient) {
	client.AddHook(calls{t.provider.Tracer(scope)})
}

// Flush sends the spans that a function holds. It returns when they have been sent, and 500 ms later or at the end of ctx
// where the collector does not answer: then they are lost.
func (t *Traces) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = t.provider.ForceFlush(ctx) // the cleaner has logged it
}

// Close sends what is left, for at most a second.
func (t *Traces) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the cleaner has logged it
}
