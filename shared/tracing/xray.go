package tracing

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// xrayKey is the context key under which aws-lambda-go puts Lambda's trace header of an invocation.
const xrayKey = "x-amzn-trace-id"

// fromXRay returns the span that Lambda's header names: Root=1-TIME-REST;Parent=SPAN;Sampled=1. It ignores other fields.
// https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
func fromXRay(ctx context.Context) trace.SpanContext {
	header, _ := ctx.Value(xrayKey).(string)
	var c trace.SpanContextConfig
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if version, id, _ := strings.Cut(value, "-"); version == "1" && len(id) == 33 && id[8] == '-' {
				c.TraceID, _ = trace.TraceIDFromHex(id[:8] + id[9:]) // on an error the id is zero, which is invalid
			}
		case "Parent":
			c.SpanID, _ = trace.SpanIDFromHex(value)
		case "Sampled":
			if value == "1" {
				c.TraceFlags = trace.FlagsSampled
			}
		}
	}
	return trace.NewSpanContext(c)
}

// xrayIDs makes ids that X-Ray accepts: the first four bytes of a trace id are the Unix time in seconds.
type xrayIDs struct{}

// NewIDs implements sdk.IDGenerator.
func (x xrayIDs) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	binary.BigEndian.PutUint32(id[:], uint32(time.Now().Unix()))
	binary.BigEndian.PutUint32(id[4:], rand.Uint32())
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id, x.NewSpanID(ctx, id)
}

// NewSpanID implements sdk.IDGenerator.
func (xrayIDs) NewSpanID(context.Context, trace.TraceID) (span trace.SpanID) {
	for !span.IsValid() {
		binary.BigEndian.PutUint64(span[:], rand.Uint64())
	}
	return span
}
