package runtime

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A day of changes does not fill the disk: only the newest programs and those that they replaced are kept.
func TestBuilderClears(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/throwaway\n\ngo 1.26\n")
	write("kept/main.go", "package main\n\nfunc main() {}\n")
	b, err := NewBuilder(root)
	if err != nil {
		t.Fatal(err)
	}
	both := []*template.Function{{ID: "A", Source: "changing", Folder: "changing"}, {ID: "B", Source: "kept", Folder: "kept"}}
	var built map[string]string
	for i := range 4 {
		write("changing/main.go", fmt.Sprintf("package main\n\nfunc main() { println(%d) }\n", i))
		if built, err = b.Build(both); err != nil {
			t.Fatal(err)
		}
	}
	var files []string
	if err := filepath.WalkDir(b.dir.Path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 || !slices.Contains(files, built["A"]) || !slices.Contains(files, built["B"]) {
		t.Errorf("got %v, want %v and the program replaced last", files, built)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(b.dir.Path); err == nil {
		t.Error("the folder is there after Close")
	}
}

// TestBuildSentences builds functions that cannot be built. Of an error with the compiler's output only the first line is compared.
func TestBuildSentences(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Emulator: building the functions")
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/throwaway\n\ngo 1.26\n", "broken/main.go": "package main\n\nfunc main() { nothing() }\n", "library/library.go": "package library\n", "works/main.go": "package main\n\nfunc main() {}\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := NewBuilder(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for source, want := range map[string]string{"": "CodeUri", "broken": "undefined: nothing", "library": "no package main"} {
		_, err := b.Build([]*template.Function{{ID: "F", Source: source, Folder: source}, {ID: "G", Source: "works", Folder: "works"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build of %q: got %v, want %q in it", source, err, want)
			continue
		}
		line, _, _ := strings.Cut(err.Error(), "\n")
		sentences.Add(regexp.MustCompile(`/\S+/\d*/`).ReplaceAllString(line, "DIR/"))
	}
}
