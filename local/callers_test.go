package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestRemind checks that the warning comes at once and at each tick.
func TestRemind(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 1)
	tick, done := make(chan time.Time), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		remind(logTo(lines), tick, done)
		close(ended)
	}()
	for range 3 {
		if got := <-lines; !strings.Contains(got, `"level":"WARN"`) || !strings.Contains(got, "set CALLERS_FILE") {
			t.Errorf("logged %s, want a warning that names CALLERS_FILE", got)
		}
		tick <- time.Time{}
	}
	<-lines
	close(done)
	<-ended
}

// logTo returns a logger that sends each line.
func logTo(lines chan<- string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(writerFunc(func(b []byte) (int, error) {
		lines <- string(b)
		return len(b), nil
	}), nil))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
