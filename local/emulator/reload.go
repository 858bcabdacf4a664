package emulator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// watchInterval is how often the sources are looked at.
const watchInterval = 500 * time.Millisecond

// builder builds functions as a deployment does, but for this machine.
type builder struct {
	root string // of the module: the template's folder
	dir  *buildDir

	mu      sync.Mutex
	number  int
	last    map[string]string   // the newest program of each function, by logical id
	sums    map[string][32]byte // of those
	garbage []string            // programs that were replaced, and may run until the next build
	embeds  []string            // files that are part of the programs, and folders they are in
}

func newBuilder(root string) (*builder, error) {
	dir, err := newBuildDir(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("make a folder for the functions: %w", err)
	}
	return &builder{root: root, dir: dir, last: map[string]string{}, sums: map[string][32]byte{}}, nil
}

func (b *builder) close() error { return b.dir.close() }

// build returns the functions' programs, by logical id. One that did not change keeps its path.
func (b *builder) build(t *template) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	out := filepath.Join(b.dir.path, fmt.Sprint(b.number))
	if err := b.compile(t, out); err != nil {
		return nil, errors.Join(err, os.RemoveAll(out))
	}
	b.clear()
	for _, s := range t.functions {
		if err := b.take(s.id, filepath.Join(out, s.id, "bootstrap")); err != nil {
			return nil, err
		}
	}
	return maps.Clone(b.last), nil
}

// compile writes dir/ID/bootstrap of every function. The error has the compiler's words.
func (b *builder) compile(t *template, dir string) error {
	bin := filepath.Join(dir, "bin")
	args := []string{"build", "-tags=lambda.norpc", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", bin + "/"}
	for _, s := range t.functions {
		if s.source == "" {
			return fmt.Errorf("%s has no folder to build: CodeUri is not known", s.id)
		}
		args = append(args, "./"+s.source)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, strings.TrimSpace(string(text)))
	}
	for _, s := range t.functions {
		if err := os.Mkdir(filepath.Join(dir, s.id), 0o700); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(bin, s.folder), filepath.Join(dir, s.id, "bootstrap")); err != nil {
			return fmt.Errorf("%s of %s is not package main: %w", s.source, s.id, err)
		}
	}
	return os.RemoveAll(bin)
}

// findEmbeds looks for the files that the functions embed, and their folders, where others may appear. Where go cannot
// tell, it is those of before: whatever is wrong will be in the words of the compiler.
func (b *builder) findEmbeds(t *template) {
	args := []string{"list", "-deps", "-f", `{{$dir := .Dir}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`}
	for _, s := range t.functions {
		args = append(args, "./"+s.source)
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

// take makes a program the newest of a function, unless it is the one that is.
func (b *builder) take(id, path string) error {
	sum, err := sumOf(path)
	if err != nil {
		return fmt.Errorf("read what was built: %w", err)
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

// clear removes programs that the build before the last one has replaced.
func (b *builder) clear() {
	for _, dir := range b.garbage {
		_ = os.RemoveAll(dir) // close tries again
	}
	b.garbage = nil
}

func sumOf(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// Reload reads the template again, builds where Build says so, and lets what comes next meet the outcome. What runs goes on
// to its end. After an error everything is as it was.
func (e *Emulator) Reload() error {
	_, err := e.reload()
	return err
}

// reload reports whether anything of what runs has changed: a comment in a source, say, changes nothing.
func (e *Emulator) reload() (changed bool, err error) {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	t, err := e.look()
	if err != nil {
		return false, err
	}
	paths := e.givenBinaries(t)
	if e.builder != nil {
		if paths, err = e.builder.build(t); err != nil {
			return false, err
		}
	}
	before := e.state.Load()
	if t.same(before.template) && maps.Equal(paths, before.paths) {
		return false, nil
	}
	return true, e.replace(t, paths)
}

// look reads the template, and remembers what the sources are before they are built: what changes from now on is new.
func (e *Emulator) look() (*template, error) {
	t, err := readTemplate(e.options.Template, regionOf(e.options.Environ), e.options.Parameters)
	if err == nil && (e.options.Build || e.options.Binaries == "") {
		err = t.checkSources(e.options.Template)
	}
	if err == nil && e.builder != nil {
		e.builder.findEmbeds(t)
	}
	e.seen = e.fingerprint()
	return t, err
}

// Watch reloads whenever a source or the template has changed since they were last read, until ctx ends. noticed hears of
// each change before it is built, and reloaded whether anything of what runs has changed by it, or what is wrong with it:
// once, until there is another change.
func (e *Emulator) Watch(ctx context.Context, noticed func(), reloaded func(changed bool, err error)) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e.reloading.Lock()
		same := e.fingerprint() == e.seen
		e.reloading.Unlock()
		if !same {
			noticed()
			reloaded(e.reload())
		}
	}
}

// fingerprint changes when a source does: a Go file, go.mod, an embedded file or the template.
func (e *Emulator) fingerprint() [32]byte {
	h := sha256.New()
	add := func(path string, info fs.FileInfo) {
		fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano())
	}
	if info, err := os.Stat(e.options.Template); err == nil {
		add(e.options.Template, info)
	}
	if e.builder != nil {
		e.builder.sources(add)
	}
	return [32]byte(h.Sum(nil))
}

// sources calls add for every file that a build may read.
func (b *builder) sources(add func(path string, info fs.FileInfo)) {
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
			return nil // it has just gone
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
