package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// outcome is how the tests of one package went.
type outcome struct {
	failed   bool
	test     string // the first that failed; empty where the package failed as a whole
	timedOut bool
	ran      int // tests
}

// event is a line of test2json.
type event struct {
	Action, Test, Output string
}

// tests is the test binary of one package.
type tests struct {
	binary  string
	dir     string // the package's, where its tests run
	timeout time.Duration
}

// compile builds the tests of a package into dir. Vet would find bugs that no test does; it does not run here.
func (r runner) compile(ctx context.Context, pkg, overlay, dir string) (tests, error) {
	t := tests{filepath.Join(dir, strings.ReplaceAll(filepath.Clean(pkg), "/", "-")+".test"), filepath.Join(r.root, pkg), r.timeout}
	args := []string{"test", "-c", "-vet=off", "-o", t.binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = r.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return t, fmt.Errorf("compile the tests of %s: %w\n%s", pkg, err, out)
	}
	return t, nil
}

// run runs the tests that match the pattern, all where it is empty, up to the first that fails.
func (t tests) run(ctx context.Context, pattern string) (outcome, error) {
	cmd := exec.CommandContext(ctx, t.binary, "-test.v=test2json", "-test.failfast", "-test.timeout="+t.timeout.String(), "-test.run="+pattern)
	cmd.Dir = t.dir
	said, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); ctx.Err() != nil || err != nil && !exited {
		return outcome{}, fmt.Errorf("run the tests in %s: %w", t.dir, errors.Join(err, ctx.Err()))
	}
	reader := exec.CommandContext(ctx, "go", "tool", "test2json")
	reader.Dir, reader.Stdin = t.dir, bytes.NewReader(said)
	lines, readErr := reader.Output()
	if readErr != nil {
		return outcome{}, fmt.Errorf("go tool test2json: %w", readErr)
	}
	o, parseErr := parse(lines)
	o.failed = err != nil // also where it ended without a word
	return o, parseErr
}

// parse reads what test2json says of the tests of one package.
func parse(out []byte) (outcome, error) {
	var o outcome
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return o, fmt.Errorf("read what test2json says: %w", err)
		}
		switch e.Action {
		case "run":
			o.ran++
		case "output":
			o.timedOut = o.timedOut || strings.HasPrefix(e.Output, "panic: test timed out")
		case "fail":
			o.test = cmp.Or(o.test, e.Test)
		}
	}
	return o, lines.Err()
}
