package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// row is one number of the report.
type row struct {
	number, goal, measured string
	ok                     bool
}

// section is the result of a part.
type section struct {
	title   string
	rows    []row
	details []string // paragraphs of Markdown, tables included
	figures []figure
	servers string // the backends and their versions
}

// add adds a number.
func (s *section) add(number, goal, measured string, ok bool) {
	s.rows = append(s.rows, row{number, goal, measured, ok})
}

func (s *section) missed(number, goal, measured string) { s.add(number, goal, measured, false) }

// note adds a paragraph.
func (s *section) note(format string, args ...any) {
	s.details = append(s.details, fmt.Sprintf(format, args...))
}

// table adds a table.
func (s *section) table(head []string, rows [][]string) {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		fmt.Fprintf(&b, "\n| %s |", strings.Join(r, " | "))
	}
	s.details = append(s.details, b.String())
}

// report collects the sections, prints each at once, and writes all as Markdown.
type report struct {
	head     []string
	rows     []row
	skipped  []row
	sections []section
}

func newReport(o options) *report {
	r := &report{head: []string{
		time.Now().UTC().Format("2006-01-02 15:04 MST") + "; " + testbed.Machine(),
		fmt.Sprintf("Made by `%s`, with the seed %d. Servers, load, proxies and databases share this one machine and its clock.",
			strings.Join(append([]string{"go -C scripts/bench run ./reliability"}, os.Args[1:]...), " "), o.seed),
	}}
	if o.quick {
		r.head = append(r.head, "**A quick run: its counts are far below those of the goals.**")
	}
	fmt.Println(strings.Join(r.head, "\n"))
	return r
}

func (r *report) add(s section) {
	if len(r.sections) == 0 {
		r.head[0] += "; " + s.servers
	}
	r.rows, r.sections = append(r.rows, s.rows...), append(r.sections, s)
	fmt.Printf("\n%s\n%s\n\n%s\n", s.title, table(s.rows), strings.Join(s.details, "\n\n"))
}

// skip lists a part as not run. It does not count as a missed goal.
func (r *report) skip(p part) {
	r.skipped = append(r.skipped, row{number: p.name, measured: "not run"})
}

// finish writes the report if file is not empty. It returns an error if a goal was missed.
func (r *report) finish(file string) error {
	var err error
	if file != "" {
		err = r.write(file)
	}
	for _, row := range r.rows {
		if !row.ok {
			return errors.Join(err, errMissed)
		}
	}
	return err
}

func (r *report) write(file string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Reliability, measured\n\n%s\n\n%s\n", strings.Join(r.head, "\n\n"), table(slices.Concat(r.rows, r.skipped)))
	for _, s := range r.sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.title, strings.Join(s.details, "\n\n"))
		for _, f := range s.figures {
			name := strings.TrimSuffix(filepath.Base(file), ".md") + "-" + f.name + ".svg"
			if err := f.save(filepath.Join(filepath.Dir(file), name)); err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n![%s](%s)\n", f.title, name)
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644) // a report that anyone may read
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| number | goal | measured | |\n|---|---|---|---|")
	for _, r := range rows {
		state := "holds"
		if !r.ok {
			state = "🔴 **MISSED**"
		}
		fmt.Fprintf(&b, "\n| %s | %s | %s | %s |", r.number, r.goal, r.measured, state)
	}
	return b.String()
}
