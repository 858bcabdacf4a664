package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// section is the result of one part: a table, and paragraphs below it.
type section struct {
	title string
	head  []string
	rows  [][]string
	notes []string
}

func (s *section) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	s.rows = append(s.rows, text)
}

func (s *section) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// report collects the sections of a run, prints each at once, and writes all as Markdown.
type report struct {
	head     string
	markdown strings.Builder
}

func newReport(ctx context.Context, w *world) *report {
	r := &report{head: fmt.Sprintf("%s; %s; %s", time.Now().UTC().Format(time.DateOnly), testbed.Machine(), w.Versions(ctx))}
	args := append([]string{"go -C scripts/bench run ."}, os.Args[1:]...)
	fmt.Println(r.head)
	fmt.Fprintf(&r.markdown, "# Measured\n\n%s\n\nMade by `%s`; main.go says what the parts measure.\n", r.head, strings.Join(args, " "))
	return r
}

func (r *report) add(s section) {
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s\n%s\n", s.title, strings.Join(s.head, "\t"))
	for _, row := range s.rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush()
	fmt.Println(strings.Join(s.notes, "\n"))

	fmt.Fprintf(&r.markdown, "\n## %s\n\n| %s |\n|%s\n", s.title, strings.Join(s.head, " | "), strings.Repeat("---|", len(s.head)))
	for _, row := range s.rows {
		fmt.Fprintf(&r.markdown, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintf(&r.markdown, "\n%s\n", strings.Join(s.notes, "\n\n"))
}

func (r *report) write(file string) error {
	return os.WriteFile(file, []byte(r.markdown.String()), 0o644) // a report that anyone may read
}

// held is the verdict on a goal.
func held(ok bool) string {
	if ok {
		return "holds"
	}
	return "MISSED"
}
