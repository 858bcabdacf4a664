package tracing

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/twitchtv/twirp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/osirose-new/database-service/shared/request"
)

const (
	rpcPackage = "osirose.database.v1"
	// unrouted is the name of a request's span until the request is routed. It stays if no service has the path. The
	// path is not used, because callers choose it.
	unrouted = "request"

	protocolKey = attribute.Key("database_service.protocol")
	cacheKey    = attribute.Key("database_service.cache")
)

// requests is the rpcserver.Tracer.
type requests struct {
	tracer   trace.Tracer
	function bool
	mu       sync.RWMutex
	byClass  map[request.Class]*classSpan
}

// classSpan holds the parts that all spans of a class share.
type classSpan struct {
	name       string
	attributes []attribute.KeyValue
	failed     bool
}

// Start implements rpcserver.Tracer.
func (r *requests) Start(ctx context.Context, header func(string) string) (context.Context, string) {
	options := [2]trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	n := 1
	caller := fromHeaders(header)
	parent := caller
	if r.function {
		if x := fromXRay(ctx); x.IsValid() {
			parent = x
			if caller.IsValid() {
				options[n] = trace.WithLinks(trace.Link{SpanContext: caller})
				n++
			}
		}
	}
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	ctx, span := r.tracer.Start(ctx, unrouted, options[:n]...)
	return ctx, response(span.SpanContext())
}

// End implements rpcserver.Tracer.
func (r *requests) End(ctx context.Context, class request.Class) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	k := r.class(class)
	span.SetName(k.name)
	span.SetAttributes(k.attributes...)
	if k.failed {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func (r *requests) class(of request.Class) *classSpan {
	r.mu.RLock()
	k := r.byClass[of]
	r.mu.RUnlock()
	if k == nil {
		k = newClassSpan(of)
		r.mu.Lock()
		r.byClass[of] = k
		r.mu.Unlock()
	}
	return k
}

func newClassSpan(of request.Class) *classSpan {
	system, code := "twirp", string(of.Code)
	if of.Protocol == request.GRPC {
		system, code = "grpc", grpcCode(of.Code)
	}
	k := &classSpan{name: unrouted, failed: failed(of.Code), attributes: []attribute.KeyValue{
		semconv.RPCSystemNameKey.String(system), semconv.RPCResponseStatusCode(code), protocolKey.String(string(of.Protocol)),
	}}
	if rpc := of.RPC(); rpc != "" {
		k.name = rpcPackage + "." + rpc
		k.attributes = append(k.attributes, semconv.RPCMethod(k.name))
	}
	if of.Cache != "" {
		k.attributes = append(k.attributes, cacheKey.String(of.Cache))
	}
	if k.failed {
		k.attributes = append(k.attributes, semconv.ErrorTypeKey.String(code))
	}
	return k
}

// failed reports whether the service and not the caller caused the error.
func failed(code twirp.ErrorCode) bool {
	switch code {
	case twirp.Internal, twirp.Unknown, twirp.DataLoss, twirp.Unavailable, twirp.DeadlineExceeded:
		return true
	}
	return false
}

// grpcCode returns gRPC's name of the code.
func grpcCode(code twirp.ErrorCode) string {
	switch code {
	case twirp.BadRoute:
		return "UNIMPLEMENTED"
	case twirp.Malformed:
		return "INVALID_ARGUMENT"
	case twirp.DataLoss:
		return "DATA_LOSS"
	case twirp.Canceled:
		return "CANCELLED"
	}
	return strings.ToUpper(string(code))
}

// headers are the headers of a request, read-only.
type headers func(name string) string

// Get implements propagation.TextMapCarrier.
func (h headers) Get(name string) string { return h(name) }

// Set implements propagation.TextMapCarrier.
func (headers) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (headers) Keys() []string { return nil }

// fromHeaders returns the caller's span from traceparent and tracestate. tracestate goes to the collector
// unchanged: one tracing system writes it for the next. https://www.w3.org/TR/trace-context/
func fromHeaders(header func(string) string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), headers(header))
	return trace.SpanContextFromContext(ctx)
}

// response returns the value of traceresponse.
func response(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	id, span := c.TraceID(), c.SpanID()
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, id[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	b = append(b, '-', '0', '0'+byte(c.TraceFlags()&trace.FlagsSampled))
	return string(b)
}
