package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// says describes the result in a line.
func (r result) says() string {
	by := strings.TrimSpace(r.pkg + " " + r.test)
	switch {
	case r.err != nil:
		return fmt.Sprintf("ERROR: %v", r.err)
	case r.how == timeout:
		return "only by the test timeout: " + by
	case r.how == crash:
		return "only by a panic: " + by
	case !r.found():
		return "NOT FOUND"
	case r.chance:
		return fmt.Sprintf("once in %d runs: %s", retries+1, by)
	}
	return "found: " + by
}

// report is the results of a run, in the order of the mutants.
type report struct {
	results []result
	left    int // mutants that are not tested yet
	took    time.Duration
}

func (r report) count(is func(result) bool) (n int) {
	for _, res := range r.results {
		if is(res) {
			n++
		}
	}
	return n
}

// good is whether each mutant was found by an assertion.
func (r report) good() bool {
	return r.left == 0 && r.count(result.convincing) == len(r.results)
}

func (r report) summary() string {
	text := fmt.Sprintf("%d of %d mutants found, %d of them by an assertion (goal: all), in %s",
		r.count(result.found), len(r.results), r.count(result.convincing), r.took.Round(time.Second))
	if r.left > 0 {
		text += fmt.Sprintf("; %d not tested yet", r.left)
	}
	return text
}

// markdown groups the results by area. What no assertion found stands in bold.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Mutants\n\n%s; %d CPUs, %s/%s, %s. Made by `go -C scripts/bench run ./mutants -o FILE`; mutants.yaml has the mutants.\n",
		r.summary(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format(time.DateOnly))
	var areas []string
	for _, res := range r.results {
		if !slices.Contains(areas, res.area()) {
			areas = append(areas, res.area())
		}
	}
	for _, area := range areas {
		fmt.Fprintf(&b, "\n## %s\n\n| mutant | file | what goes wrong | found by |\n|---|---|---|---|\n", area)
		for _, res := range r.results {
			if res.area() == area {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", res.Name, res.File, cell(res.What), res.cell())
			}
		}
	}
	return b.String()
}

func (r report) write(file string) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(r.markdown()), 0o644) // a report that anyone may read
}

func (r result) cell() string {
	text := cell(strings.TrimPrefix(r.says(), "found: "))
	if !r.convincing() {
		return "**" + text + "**"
	}
	return text
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
