package tracing

import (
	"log/slog"

	"github.com/go-logr/logr"

	"github.com/osirose-new/database-service/shared/postgres"
)

// handler takes the errors that OpenTelemetry's own code has nobody to return to. Those of the exporter have been logged.
type handler struct{ log *slog.Logger }

// Handle implements otel.ErrorHandler.
func (h handler) Handle(err error) { h.log.Debug("opentelemetry", "cause", postgres.Describe(err)) }

// sink takes what OpenTelemetry logs, which would go to stderr. What stands beside its messages holds addresses and
// variables, and is left out.
type sink struct{ log *slog.Logger }

var _ logr.LogSink = sink{}

// Init implements logr.LogSink.
func (sink) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink. 1 is a warning of OpenTelemetry's; more are told of each batch.
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
