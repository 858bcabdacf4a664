package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

const minBugs = 25

func readAll(t *testing.T) (root string, bugs []bug) {
	t.Helper()
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bugs, err = readBugs("bugs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return root, bugs
}

// TestBugs notices a bug that can no longer be planted, as soon as the code under it changes.
func TestBugs(t *testing.T) {
	t.Parallel()
	root, bugs := readAll(t)
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen, areas := map[string]bool{}, map[string]int{}
	for _, b := range bugs {
		if seen[b.Name] || !kebab.MatchString(b.Name) {
			t.Errorf("%q is not a name of its own in kebab-case", b.Name)
		}
		seen[b.Name] = true
		areas[b.area()]++
		if b.What == "" || len(b.Packages) == 0 {
			t.Errorf("%s lacks what it does, or who should find it", b.Name)
		}
		checkPatch(t, root, b)
		for _, p := range b.Packages {
			if tests, _ := filepath.Glob(filepath.Join(root, p, "*_test.go")); len(tests) == 0 {
				t.Errorf("%s: there are no tests in %s", b.Name, p)
			}
		}
	}
	if len(bugs) < minBugs {
		t.Errorf("there are %d bugs, and %d are promised", len(bugs), minBugs)
	}
	for _, area := range []string{"cache", "repositories", "adapter", "edge"} {
		if areas[area] == 0 {
			t.Errorf("no bug is in %s", area)
		}
		delete(areas, area)
	}
	if len(areas) > 0 {
		t.Errorf("bugs in none of the areas, by area: %v", areas)
	}
}

func checkPatch(t *testing.T, root string, b bug) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, b.File))
	if err != nil {
		t.Errorf("%s: %v", b.Name, err)
		return
	}
	patched, err := b.patch(string(text))
	if err != nil {
		t.Error(err)
		return
	}
	if filepath.Ext(b.File) != ".go" {
		return
	}
	if _, err := parser.ParseFile(token.NewFileSet(), b.File, patched, parser.SkipObjectResolution); err != nil {
		t.Errorf("%s: %v", b.Name, err)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	bugs := []bug{{Name: "a"}, {Name: "b"}}
	if got, err := choose(bugs, []string{"b"}); err != nil || len(got) != 1 || got[0].Name != "b" {
		t.Errorf("choose b = %v, %v", got, err)
	}
	if got, err := choose(bugs, nil); err != nil || len(got) != 2 {
		t.Errorf("choose none = %v, %v, want all", got, err)
	}
	if got, err := choose(bugs, []string{"c"}); err == nil {
		t.Errorf("choose c = %v, want an error", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines string
		want  outcome
	}{
		"passed":            {`{"Action":"run","Test":"TestA"}` + "\n" + `{"Action":"pass","Test":"TestA"}`, outcome{ran: 1}},
		"the first failure": {`{"Action":"fail","Test":"TestA/x"}` + "\n" + `{"Action":"fail","Test":"TestA"}` + "\n" + `{"Action":"fail"}`, outcome{test: "TestA/x"}},
		"timed out":         {`{"Action":"output","Output":"panic: test timed out after 3m0s\n"}` + "\n" + `{"Action":"fail"}`, outcome{timedOut: true}},
	} {
		if got, err := parse([]byte(test.lines)); err != nil || got != test.want {
			t.Errorf("%s: parse = %+v, %v, want %+v", name, got, err, test.want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	missed := result{bug: bug{Name: "a", File: "shared/cache/a.go"}}
	found := result{bug: bug{Name: "b", File: "shared/cache/b.go"}, found: true, by: "./shared/cache TestB"}
	r := report{results: slices.Concat(slices.Repeat([]result{found}, 18), []result{missed})}
	if r.share() >= wantFound {
		t.Errorf("18 of 19 are %.3f, want less than %.2f", r.share(), wantFound)
	}
	r.results = append(r.results, found)
	if r.share() < wantFound {
		t.Errorf("19 of 20 are %.3f, want %.2f", r.share(), wantFound)
	}
	for text, want := range map[string]string{missed.says(): "NOT FOUND", found.says(): "found: ./shared/cache TestB"} {
		if text != want {
			t.Errorf("says %q, want %q", text, want)
		}
	}
}
