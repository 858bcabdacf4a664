package main

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tableOfRights reads the table of rights in the README.md of package callers: the rights of each role.
var tableOfRights = sync.OnceValue(func() map[string][]string {
	text, err := os.ReadFile("../shared/callers/README.md")
	if err != nil {
		panic(err)
	}
	var roles []string
	rights := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case len(cells) > 3 && cells[0] == "right":
			roles = cells[2:]
		case len(cells) == len(roles)+2:
			for i, cell := range cells[2:] {
				if cell == "yes" {
					rights[roles[i]] = append(rights[roles[i]], strings.Trim(cells[0], "`"))
				}
			}
		}
	}
	return rights
})

func hasRight(role, right string) bool { return slices.Contains(tableOfRights()[role], right) }

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
