package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// says tells in a line how the tests did.
func (r result) says() string {
	switch {
	case r.err != nil:
		return fmt.Sprintf("NOT PLANTED: %v", r.err)
	case !r.found:
		return "NOT FOUND"
	case r.timedOut:
		return "ended in the test timeout: " + r.by
	case r.luck:
		return "found, once of twice: " + r.by
	}
	return "found: " + r.by
}

type report struct {
	results []result
	took    time.Duration
}

func (r report) found() int {
	n := 0
	for _, result := range r.results {
		if result.found && result.err == nil {
			n++
		}
	}
	return n
}

func (r report) share() float64 { return float64(r.found()) / float64(len(r.results)) }

func (r report) summary() string {
	return fmt.Sprintf("%d of %d planted bugs found (%.1f %%; goal: at least %.0f %%) in %s",
		r.found(), len(r.results), 100*r.share(), 100*wantFound, r.took.Round(time.Second))
}

// markdown has what was missed in bold, and the areas in the order in which they come.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Planted bugs\n\n%s; %d CPUs, %s/%s, %s. Made by `go run ./scripts/bench/mutants -o FILE`; the bugs are in bugs.yaml.\n",
		r.summary(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format(time.DateOnly))
	var areas []string
	for _, result := range r.results {
		if !slices.Contains(areas, result.area()) {
			areas = append(areas, result.area())
		}
	}
	for _, area := range areas {
		fmt.Fprintf(&b, "\n## %s\n\n| bug | where | what | found by |\n|---|---|---|---|\n", area)
		for _, result := range r.results {
			if result.area() == area {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", result.Name, result.File, cell(result.What), result.cell())
			}
		}
	}
	return b.String()
}

func (r result) cell() string {
	text := cell(strings.TrimPrefix(r.says(), "found: "))
	if !r.found || r.err != nil {
		return "**" + text + "**"
	}
	return text
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
