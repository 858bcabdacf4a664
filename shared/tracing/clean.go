package tracing

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/osirose-new/database-service/shared/errtext"
)

// allowed lists the attributes that leave the program. Their values are words of this program, numbers, and SQL statements.
// Statements are constants: their arguments are passed separately.
var allowed = map[attribute.Key]bool{
	"rpc.system.name": true, "rpc.method": true, "rpc.response.status_code": true, protocolKey: true, cacheKey: true,
	"db.system.name": true, "db.operation.name": true, "db.operation.batch.size": true, "db.query.text": true,
	"pgx.rows_affected": true, "pgx.sql_state": true, "error.type": true, "exception.type": true,
}

// cleaner is the only way for spans to leave the program. It removes everything else that libraries put into spans: error
// texts (which repeat values and addresses), stack traces and peers.
type cleaner struct {
	sdk.SpanExporter
	log    *slog.Logger
	broken atomic.Bool
}

// ExportSpans implements sdk.SpanExporter. It logs the first of consecutive errors, without the collector's address.
func (c *cleaner) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	out := make([]sdk.ReadOnlySpan, len(spans))
	for i, s := range spans {
		out[i] = cleaned{s}
	}
	err := c.SpanExporter.ExportSpans(ctx, out)
	switch was := c.broken.Swap(err != nil); {
	case err != nil && !was:
		c.log.Warn("traces are not sent: they are lost until the collector takes them", "cause", errtext.ForLog(err))
	case err == nil && was:
		c.log.Info("traces are sent again")
	}
	return err
}

// cleaned is a span with the allowed attributes only.
type cleaned struct{ sdk.ReadOnlySpan }

// Attributes implements sdk.ReadOnlySpan.
func (s cleaned) Attributes() []attribute.KeyValue { return only(s.ReadOnlySpan.Attributes()) }

// Status implements sdk.ReadOnlySpan.
func (s cleaned) Status() sdk.Status { return sdk.Status{Code: s.ReadOnlySpan.Status().Code} }

// Events implements sdk.ReadOnlySpan.
func (s cleaned) Events() []sdk.Event {
	var events []sdk.Event
	for _, e := range s.ReadOnlySpan.Events() {
		if e.Name == "exception" {
			e.Attributes = only(e.Attributes)
			events = append(events, e)
		}
	}
	return events
}

// Links implements sdk.ReadOnlySpan.
func (s cleaned) Links() []sdk.Link {
	links := slices.Clone(s.ReadOnlySpan.Links())
	for i := range links {
		links[i].Attributes = only(links[i].Attributes)
	}
	return links
}

func only(all []attribute.KeyValue) []attribute.KeyValue {
	kept := make([]attribute.KeyValue, 0, len(all))
	for _, a := range all {
		if allowed[a.Key] {
			kept = append(kept, a)
		}
	}
	return kept
}
