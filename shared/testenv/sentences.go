package testenv

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sentencesFile has every sentence that an operator can get, by section. Tests of several packages own its sections.
const sentencesFile = "local/testdata/sentences.txt"

var updateSentences = flag.Bool("update-sentences", false, "write this package's sections of "+sentencesFile+" anew; one package at a time")

// Sentences collects what an operator reads.
type Sentences struct {
	mu  sync.Mutex
	all []string
}

// CollectSentences compares what is added with a section of the golden file once the test and its subtests have ended.
func CollectSentences(t *testing.T, section string) *Sentences {
	t.Helper()
	s := &Sentences{}
	t.Cleanup(func() {
		if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
			t.Logf("only some subtests run, so %s is not compared", sentencesFile)
			return
		}
		s.compare(t, section)
	})
	return s
}

// Add adds a sentence. Names that differ in each run become the same.
func (s *Sentences) Add(sentence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sentence = regexp.MustCompile(`(migrator|test)_\d+`).ReplaceAllString(sentence, "$1")
	s.all = append(s.all, regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(sentence, "127.0.0.1:PORT"))
}

func (s *Sentences) compare(t *testing.T, section string) {
	t.Helper()
	file := filepath.Join(moduleRoot(t), sentencesFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(s.all)
	got := "# " + section + "\n\n" + strings.Join(slices.Compact(s.all), "\n") + "\n"
	sections := strings.SplitAfter(string(text), "\n\n\n")
	i := slices.IndexFunc(sections, func(text string) bool { return strings.HasPrefix(text, "# "+section+"\n") })
	want := ""
	if i >= 0 {
		want = strings.TrimRight(sections[i], "\n") + "\n"
	}
	if *updateSentences && got != want {
		if i < 0 {
			sections = append(sections, "")
			i = len(sections) - 1
		}
		sections[i] = got
		for j, section := range sections {
			sections[j] = strings.TrimRight(section, "\n")
		}
		slices.Sort(sections)
		if err := os.WriteFile(file, []byte(strings.Trim(strings.Join(sections, "\n\n\n"), "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s, section %q (-want +got; -update-sentences writes it):\n%s", sentencesFile, section, diff)
	}
}

// moduleRoot is the folder of go.mod. A test runs in the folder of its package.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for filepath.Dir(dir) != dir {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no folder above the test's has a go.mod")
	return ""
}
