package runtime

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/tempdir"
)

// Builder builds functions with a deployment's flags for this machine's processor and system.
type Builder struct {
	root string // of the module: the template's folder
	dir  *tempdir.Dir

	mu      sync.Mutex
	number  int
	last    map[string]string   // the newest program of each function, by logical id
	sums    map[string][32]byte // of those
	garbage []string            // replaced programs, which may run until the next build
	embeds  []string            // files that the programs embed, and their folders
}

// NewBuilder returns a builder for the module in root, which must be closed. It writes to a temporary folder, and removes the
// folders of builders whose program was killed.
func NewBuilder(root string) (*Builder, error) {
	kind := tempdir.Kind{Base: os.TempDir(), Prefix: "osirose-functions-", Lock: "lock"}
	kind.Sweep(func(path string) { _ = os.RemoveAll(path) }) // the next builder tries again
	dir, err := kind.Make()
	if err != nil {
		return nil, fmt.Errorf("make a folder for the functions: %w", err)
	}
	return &Builder{root: root, dir: dir, last: map[string]string{}, sums: map[string][32]byte{}}, nil
}

// Close removes the programs.
func (b *Builder) Close() error { return b.dir.Remove() }

// Build returns the paths of the functions' programs, by logical id. A program that did not change keeps its path.
func (b *Builder) Build(functions []*template.Function) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	out := filepath.Join(b.dir.Path, fmt.Sprint(b.number))
	if err := b.compile(functions, out); err != nil {
		return nil, errors.Join(err, os.RemoveAll(out))
	}
	b.clear()
	for _, s := range functions {
		if err := b.take(s.ID, filepath.Join(out, s.ID, "bootstrap")); err != nil {
			return nil, err
		}
	}
	return maps.Clone(b.last), nil
}

// compile writes dir/ID/bootstrap of every function. The error contains the compiler's output.
func (b *Builder) compile(functions []*template.Function, dir string) error {
	bin := filepath.Join(dir, "bin")
	args := []string{"build", "-tags=lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", bin + "/"}
	for _, s := range functions {
		if s.Source == "" {
			return fmt.Errorf("%s cannot be built: write the folder of its package main as its CodeUri", s.ID)
		}
		args = append(args, "./"+s.Source)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goruntime.GOOS, "GOARCH="+goruntime.GOARCH)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build of the functions fails (%w):\n%s", err, strings.TrimSpace(string(text)))
	}
	for _, s := range functions {
		if err := os.Mkdir(filepath.Join(dir, s.ID), 0o700); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(bin, s.Folder), filepath.Join(dir, s.ID, "bootstrap")); err != nil {
			return fmt.Errorf("%s, the CodeUri of %s, is no package main: %w", s.Source, s.ID, err)
		}
	}
	return os.RemoveAll(bin)
}

// FindEmbeds looks for the files that the functions embed, and for their folders, because new files may appear there. If the
// go command fails, the earlier ones stay; Build reports the error.
func (b *Builder) FindEmbeds(functions []*template.Function) {
	args := []string{"list", "-deps", "-f", `{{$dir := .Dir}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`}
	for _, s := range functions {
		args = append(args, "./"+s.Source)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = b.root
	text, err := cmd.Output()
	if err != nil {
		return
	}
	var files []string
	for line := range strings.Lines(string(text)) {
		file := strings.TrimSpace(line)
		files = append(files, file, filepath.Dir(file))
	}
	slices.Sort(files)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.embeds = slices.Compact(files)
}

// take makes a program the newest one of a function, unless the newest is equal.
func (b *Builder) take(id, path string) error {
	sum, err := sumOf(path)
	if err != nil {
		return fmt.Errorf("read the built program: %w", err)
	}
	if b.last[id] != "" && sum == b.sums[id] {
		return os.RemoveAll(filepath.Dir(path))
	}
	if old := b.last[id]; old != "" {
		b.garbage = append(b.garbage, filepath.Dir(old))
	}
	b.last[id], b.sums[id] = path, sum
	return nil
}

// clear removes the programs that the previous build replaced.
func (b *Builder) clear() {
	for _, dir := range b.garbage {
		_ = os.RemoveAll(dir) // Close tries again
	}
	b.garbage = nil
}

func sumOf(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// Sources calls add for every file that Build may read.
func (b *Builder) Sources(add func(path string, info fs.FileInfo)) {
	b.mu.Lock()
	embeds := b.embeds
	b.mu.Unlock()
	for _, path := range embeds {
		if info, err := os.Stat(path); err == nil {
			add(path, info)
		}
	}
	_ = filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		switch {
		case err != nil:
			return nil // it was removed a moment ago
		case d.IsDir() && path != b.root && (strings.HasPrefix(name, ".") || name == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || strings.HasSuffix(name, "_test.go"):
			return nil
		case slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(name)):
			if info, err := d.Info(); err == nil {
				add(path, info)
			}
		}
		return nil
	})
}
