// Package tracing records requests, with their PostgreSQL statements and Redis calls, as OpenTelemetry spans. It sends them to
// a collector by OTLP over HTTP. It guarantees:
//   - A slow, hanging or missing collector never fails a request.
//   - A span contains only listed attributes. Arguments, error texts and addresses are not among them.
//   - A statement or a Redis call has a span only if it belongs to a recorded request.
//
// The provider is not OpenTelemetry's global one, so that no library adds spans.
//
// The X-Ray header and ids are read and made here (xray.go): OpenTelemetry's propagator for them,
// go.opentelemetry.io/contrib/propagators/aws, is deprecated ("no longer supported") as of v1.47.0.
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
	serviceName = "database-service" // unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES names the service
	// flushTime is how long a function's answer waits for the collector, at most.
	flushTime = 500 * time.Millisecond
	// closeTime is how long the end of a program waits for the collector, at most.
	closeTime = time.Second
)

// Options configure Open.
type Options struct {
	Endpoint string // the collector's URL
	Log      *slog.Logger
	// Function is true in a Lambda function. A request's parent span is X-Ray's then, ids have X-Ray's form, and spans are sent
	// only by Flush.
	Function bool
}

// Traces records and sends spans. Its methods may be called concurrently.
type Traces struct {
	provider *sdk.TracerProvider
	function bool
}

// Open returns the traces of a program. It does not connect. OpenTelemetry's standard variables configure the rest: sampler,
// limits, batches, resource attributes, headers, timeouts and certificates.
func Open(o Options) (*Traces, error) {
	ctx := context.Background()
	otel.SetErrorHandler(handler{o.Log})
	otel.SetLogger(logr.New(sink{o.Log}))
	collector := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(o.Endpoint)}
	if o.Function { // no time for a second attempt
		collector = append(collector, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	}
	exporter, err := otlptracehttp.New(ctx, collector...)
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces: %w", err)
	}
	of, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", serviceName)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	clean := &cleaner{SpanExporter: exporter, log: o.Log}
	options := []sdk.TracerProviderOption{sdk.WithResource(of)}
	if o.Function {
		options = append(options, sdk.WithSpanProcessor(&spanBuffer{exporter: clean, now: time.Now}), sdk.WithIDGenerator(xrayIDs{}))
	} else {
		options = append(options, sdk.WithBatcher(clean))
	}
	return &Traces{provider: sdk.NewTracerProvider(options...), function: o.Function}, nil
}

// Requests returns the tracer of an rpcserver's requests.
func (t *Traces) Requests() rpcserver.Tracer {
	return &requests{tracer: t.provider.Tracer(scope), function: t.function, byClass: map[request.Class]*classSpan{}}
}

// Queries returns the tracer of a pool. It records statements, waits for a connection, and connects.
func (t *Traces) Queries() pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider), otelpgx.WithMeterProvider(noop.NewMeterProvider()),
		otelpgx.WithDisableConnectionDetailsInAttributes())
}

// Redis records all later calls of the client.
func (t *Traces) Redis(client redis.UniversalClient) {
	client.AddHook(calls{t.provider.Tracer(scope)})
}

// Flush sends the buffered spans of a function. If the collector does not answer within 500 ms, or before ctx ends, the spans
// are lost.
func (t *Traces) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = t.provider.ForceFlush(ctx) // the cleaner logs the error
}

// Close sends the remaining spans. It takes at most 1 s.
func (t *Traces) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the cleaner logs the error
}
