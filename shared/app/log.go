package app

import (
	"io"
	"log/slog"
	"os"
)

// Logger logs text to a terminal and JSON to everything else. LogFormat overrides that.
func Logger(o Options) *slog.Logger {
	w := o.LogTo
	if w == nil {
		w = os.Stderr
	}
	h := &slog.HandlerOptions{Level: o.LogLevel}
	if o.Concurrency > 0 {
		h.ReplaceAttr = lambdaTime
	}
	if o.LogFormat == "text" || o.LogFormat == "" && OnTerminal(w) {
		return slog.New(slog.NewTextHandler(w, h))
	}
	return slog.New(slog.NewJSONHandler(w, h))
}

// lambdaTime renames the time to "timestamp". Without that field, Lambda treats a line as level INFO.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
func lambdaTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Key = "timestamp"
	}
	return a
}

// OnTerminal reports whether w is a terminal.
func OnTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
