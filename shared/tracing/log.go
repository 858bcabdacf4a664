package tracing

import (
	"log/slog"

	"github.com/go-logr/logr"

	"github.com/osirose-new/database-service/shared/errtext"
)

// handler gets the errors that OpenTelemetry's code cannot return to a caller. The cleaner has logged the exporter's already.
type handler struct{ log *slog.Logger }

// Handle implements otel.ErrorHandler.
func (h handler) Handle(err error) { h.log.Debug("opentelemetry", "cause", errtext.ForLog(err)) }

// sink gets OpenTelemetry's log, which would otherwise go to stderr. It drops the attributes, because they contain addresses
// and variables.
type sink struct{ log *slog.Logger }

var _ logr.LogSink = sink{}

// Init implements logr.LogSink.
func (sink) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink. OpenTelemetry logs warnings at level 1, and details of each batch at higher levels.
func (sink) Enabled(level int) bool { return level <= 1 }

// Info implements logr.LogSink.
func (s sink) Info(_ int, message string, _ ...any) {
	s.log.Debug("opentelemetry", "message", message)
}

// Error implements logr.LogSink.
func (s sink) Error(_ error, message string, _ ...any) {
	s.log.Warn("opentelemetry", "message", message)
}

// WithValues implements logr.LogSink.
func (s sink) WithValues(...any) logr.LogSink { return s }

// WithName implements logr.LogSink.
func (s sink) WithName(string) logr.LogSink { return s }
