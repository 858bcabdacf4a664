package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
)

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", "json", "text"} {
		f, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		log := app.Logger(app.Options{Config: config.Config{LogFormat: format, LogLevel: slog.LevelWarn}, LogTo: f})
		log.Info("quiet")
		log.Warn("loud", "n", 1)
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := json.Valid(b), format != "text"; got != want {
			t.Errorf("format %q wrote %s: JSON is %t, want %t", format, b, got, want)
		}
		if got := string(b); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") || strings.Count(got, "\n") != 1 {
			t.Errorf("format %q wrote %s, want only the warning", format, got)
		}
	}
}

func TestFunctionLogger(t *testing.T) {
	t.Parallel()
	for concurrency, want := range map[int]string{0: "time", 1: "timestamp"} {
		var out bytes.Buffer
		app.Logger(app.Options{Concurrency: concurrency, LogTo: &out}).Warn("loud", "code", "unavailable")
		var line map[string]string
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339Nano, line[want]); err != nil || line["level"] != "WARN" || line["code"] != "unavailable" || len(line) != 4 {
			t.Errorf("concurrency %d: %v, want %s, level, msg and code", concurrency, line, want)
		}
	}
}

func TestLogBuffer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := app.NewLogBuffer(&out)
	var want string
	for i := range 1000 { // more than the buffer's size
		line := fmt.Sprintf("line %d of a length that fills the buffer now and then\n", i)
		want += line
		if n, err := b.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	b.Close()
	if got := out.String(); got != want {
		t.Errorf("%d bytes were written, want %d, in order", len(got), len(want))
	}
}
