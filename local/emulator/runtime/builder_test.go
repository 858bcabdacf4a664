package runtime

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/osirose-new/database-service/local/emulator/template"
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
