package tracing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// calls records Redis calls by the names of their commands. It does not use go-redis's redisotel. That formats the keys
// and values of each call even if the call is not recorded, and it starts a trace for a call outside a request.
type calls struct{ tracer trace.Tracer }

// DialHook implements redis.Hook.
func (c calls) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if !recording(ctx) {
			return next(ctx, network, address)
		}
		ctx, span := c.start(ctx, "connect")
		conn, err := next(ctx, network, address)
		end(span, err)
		return conn, err
	}
}

// ProcessHook implements redis.Hook.
func (c calls) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if !recording(ctx) {
			return next(ctx, command)
		}
		name := strings.ToUpper(command.Name())
		ctx, span := c.start(ctx, name, semconv.DBOperationName(name))
		err := next(ctx, command)
		end(span, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (c calls) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if !recording(ctx) {
			return next(ctx, commands)
		}
		ctx, span := c.start(ctx, "PIPELINE", semconv.DBOperationName("PIPELINE"), semconv.DBOperationBatchSize(len(commands)))
		err := next(ctx, commands)
		end(span, err)
		return err
	}
}

func recording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

func (c calls) start(ctx context.Context, name string, more ...attribute.KeyValue) (context.Context, trace.Span) {
	return c.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.DBSystemNameRedis), trace.WithAttributes(more...))
}

// end ends the span of a call. redis.Nil, a missing value, is not an error.
func end(span trace.Span, err error) {
	if err != nil && !errors.Is(err, redis.Nil) {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(errorType(err)))
	}
	span.End()
}

// errorType returns the first word of an error reply if it is in capitals. The rest of the reply may repeat the command.
func errorType(err error) string {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		word, _, _ := strings.Cut(reply.Error(), " ")
		if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			return word
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timeout"
	}
	return fmt.Sprintf("%T", err)
}
