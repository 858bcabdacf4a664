package main

import (
	"errors"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/scripts/bench/internal/repository"
)

const minMutants = 150

// TestMutants fails as soon as the code under a mutant changes so that the mutant can no longer be applied.
func TestMutants(t *testing.T) {
	t.Parallel()
	root, err := repository.Root()
	if err != nil {
		t.Fatal(err)
	}
	mutants, err := readMutants("mutants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen, areas := map[string]bool{}, map[string]int{}
	for _, m := range mutants {
		if seen[m.Name] || !kebab.MatchString(m.Name) {
			t.Errorf("name %q: want a unique name in kebab-case", m.Name)
		}
		seen[m.Name] = true
		areas[m.area()]++
		if m.What == "" || len(m.Packages) == 0 {
			t.Errorf("%s lacks what or packages", m.Name)
		}
		checkPatch(t, root, m)
		for _, p := range m.Packages {
			if tests, _ := filepath.Glob(filepath.Join(root, p, "*_test.go")); len(tests) == 0 {
				t.Errorf("%s: package %s has no tests", m.Name, p)
			}
		}
	}
	if len(mutants) < minMutants {
		t.Errorf("%d mutants, want at least %d", len(mutants), minMutants)
	}
	want := []string{"adapter", "cache", "edge", "repositories"}
	if got := slices.Sorted(maps.Keys(areas)); !slices.Equal(got, want) {
		t.Errorf("areas with mutants = %q, want %q", got, want)
	}
}

func checkPatch(t *testing.T, root string, m mutant) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		t.Errorf("%s: %v", m.Name, err)
		return
	}
	patched, err := m.patch(string(text))
	if err != nil {
		t.Error(err)
		return
	}
	if filepath.Ext(m.File) != ".go" {
		return
	}
	if _, err := parser.ParseFile(token.NewFileSet(), m.File, patched, parser.SkipObjectResolution); err != nil {
		t.Errorf("%s: %v", m.Name, err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	mutants := []mutant{{Name: "a"}, {Name: "b"}}
	if got, err := choose(mutants, []string{"b"}); err != nil || len(got) != 1 || got[0].Name != "b" {
		t.Errorf("choose b = %v, %v", got, err)
	}
	if got, err := choose(mutants, nil); err != nil || len(got) != 2 {
		t.Errorf("choose none = %v, %v, want all", got, err)
	}
	if got, err := choose(mutants, []string{"c"}); err == nil {
		t.Errorf("choose c = %v, want an error", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const run, pass = `{"Action":"run","Test":"TestA"}`, `{"Action":"pass","Test":"TestA"}`
	const timedOut, fail = `{"Action":"output","Output":"panic: test timed out after 3m0s\n"}`, `{"Action":"fail"}`
	for name, test := range map[string]struct {
		lines []string
		want  verdict
	}{
		"passed":                 {[]string{run, pass}, verdict{how: passed, ran: 1}},
		"the first failure":      {[]string{`{"Action":"fail","Test":"TestA/x"}`, `{"Action":"fail","Test":"TestA"}`, fail}, verdict{how: assertion, test: "TestA/x"}},
		"timed out":              {[]string{run, timedOut, `{"Action":"fail","Test":"TestA"}`, fail}, verdict{how: timeout, ran: 1}},
		"failed, then timed out": {[]string{`{"Action":"fail","Test":"TestA"}`, timedOut, fail}, verdict{how: assertion, test: "TestA"}},
		"a panic":                {[]string{`{"Action":"output","Test":"TestA","Output":"panic: x\n"}`, `{"Action":"fail","Test":"TestA"}`}, verdict{how: crash, test: "TestA"}},
		"the end of the process": {[]string{run, fail}, verdict{how: crash, ran: 1}},
		"a panic that is logged": {[]string{`{"Action":"output","Test":"TestA","Output":"    a_test.go:1: panic: x\n"}`, pass}, verdict{how: passed}},
	} {
		calls := 0
		got, err := parse(strings.NewReader(strings.Join(test.lines, "\n")), func() { calls++ })
		if err != nil || got != test.want {
			t.Errorf("%s: parse = %+v, %v, want %+v", name, got, err, test.want)
		}
		if want := got.how == assertion; (calls == 1) != want {
			t.Errorf("%s: failed was called %d times", name, calls)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	m := mutant{Name: "b", File: "shared/cache/b.go"}
	found := result{mutant: m, how: assertion, pkg: "./shared/cache", test: "TestB"}
	for want, r := range map[string]result{
		"found: ./shared/cache TestB":                    found,
		"NOT FOUND":                                      {mutant: m, how: passed},
		"only by a panic: ./shared/cache TestB":          {mutant: m, how: crash, pkg: "./shared/cache", test: "TestB"},
		"only by the test timeout: ./shared/cache":       {mutant: m, how: timeout, pkg: "./shared/cache"},
		"once in 4 runs: ./shared/cache TestB":           {mutant: m, how: assertion, pkg: "./shared/cache", test: "TestB", chance: true},
		"ERROR: compile the tests of ./shared/cache: no": {mutant: m, how: passed, err: errors.New("compile the tests of ./shared/cache: no")},
	} {
		if got := r.says(); got != want {
			t.Errorf("says = %q, want %q", got, want)
		}
		rep := report{results: []result{found, r}}
		if good := rep.good(); good != strings.HasPrefix(want, "found") {
			t.Errorf("good with %q = %v", want, good)
		}
	}
	if (report{results: []result{found}, left: 1}).good() {
		t.Error("good = true while a mutant is not tested yet")
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal")
	m := mutant{Name: "a", File: "shared/cache/a.go", Old: "x", New: "y"}
	if got, err := readJournal(file); err != nil || len(got) != 0 {
		t.Errorf("readJournal of no file = %v, %v", got, err)
	}
	missed := result{mutant: m, how: passed}
	found := result{mutant: m, how: assertion, pkg: "./shared/cache", test: "TestA", took: 1e9}
	for _, r := range []result{missed, found} {
		if err := appendJournal(file, r); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := readJournal(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]entry{"a": newEntry(found)}, entries); diff != "" {
		t.Errorf("readJournal (-want +got):\n%s", diff)
	}
	changed := m
	if changed.New = "z"; changed.id() == m.id() {
		t.Error("a changed mutant has the same id")
	}
}
