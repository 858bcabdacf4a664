package runtime

import (
	"bytes"
	"strings"
	"testing"
)

// The log of an invocation holds everything that the process wrote before it answered, also if follow has not read it yet.
func TestCapture(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, end, err := newCapture("F", &lines{to: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	write := func(text string) {
		t.Helper()
		if _, err := end.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	c.begin()
	write("new\nbegun")
	if got := string(c.end()); got != "new\nbegun" {
		t.Errorf("got %q", got)
	}
	if got := out.String(); got != "F | old\nF | new\n" {
		t.Errorf("got %q", got)
	}
	c.begin()
	write(strings.Repeat("x", 5000))
	if got := c.end(); len(got) != logLimit {
		t.Errorf("got %d bytes, want the last %d", len(got), logLimit)
	}
	write(strings.Repeat("x", lineLimit-5000))
	if c.catchUp(); strings.Count(out.String(), "\n") != 3 {
		t.Errorf("got %d lines, want a long line broken", strings.Count(out.String(), "\n"))
	}
	c.close()
	if got := out.String(); !strings.HasSuffix(got, "\n") {
		t.Errorf("got %q at the end", got[max(0, len(got)-100):])
	}
}
