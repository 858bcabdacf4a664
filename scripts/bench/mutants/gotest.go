package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// how is the way in which the tests of a package ended.
type how string

const (
	passed    how = "passed"
	assertion how = "assertion" // a test reported a failure
	crash     how = "panic"     // the test process ended without a report
	timeout   how = "timeout"   // no test reported a failure before the timeout
)

// verdict is what one run of the tests of a package showed.
type verdict struct {
	how  how
	test string // the first test that failed; empty if none reported a failure
	ran  int    // tests, subtests included
}

// event is one line of test2json.
type event struct {
	Action, Test, Output string
}

// afterFailure is the time that the other tests have to end once one has failed.
const afterFailure = 20 * time.Second

// tests is the test binary of one package.
type tests struct {
	pkg     string
	binary  string
	dir     string // of the package, where its tests run
	timeout time.Duration
}

// compile builds the tests of a package into dir. It does not run vet, which finds mutants that no test does.
func (r *runner) compile(ctx context.Context, pkg, overlay, dir string) (tests, error) {
	t := tests{
		pkg:     pkg,
		binary:  filepath.Join(dir, strings.ReplaceAll(filepath.Clean(pkg), "/", "-")+".test"),
		dir:     filepath.Join(r.root, pkg),
		timeout: r.timeout,
	}
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", t.binary} // stack traces need no symbols
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

// run runs the tests that match the pattern, and all if it is empty. It stops after the first failure.
func (t tests) run(ctx context.Context, pattern string) (verdict, error) {
	temp, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return verdict{}, err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil { // root runs PostgreSQL as another user
		return verdict{}, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	// test2json runs the binary, and adds to its output which test it is about.
	cmd := exec.CommandContext(running, "go", "tool", "test2json", t.binary,
		"-test.v=test2json", "-test.failfast", "-test.timeout="+t.timeout.String(), "-test.run="+pattern)
	cmd.Dir, cmd.Env = t.dir, append(os.Environ(), "TMPDIR="+temp)
	killGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return verdict{}, err
	}
	if err := cmd.Start(); err != nil {
		return verdict{}, err
	}
	v, parseErr := parse(out, func() { time.AfterFunc(afterFailure, stop) })
	err = cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited && running.Err() == nil {
		return v, fmt.Errorf("run the tests of %s: %w", t.pkg, err)
	}
	if err := errors.Join(ctx.Err(), parseErr); err != nil {
		return v, fmt.Errorf("run the tests of %s: %w", t.pkg, err)
	}
	if v.how == passed && err != nil {
		v.how = crash
	}
	return v, nil
}

// parse reads what test2json prints about one package. It calls failed once a test has reported a failure.
func parse(out io.Reader, failed func()) (verdict, error) {
	v := verdict{how: passed}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return v, fmt.Errorf("read the output of test2json: %w", err)
		}
		v.add(e, failed)
	}
	return v, lines.Err()
}

// add takes one event into account. The first failure decides: what comes after it may be its consequence.
func (v *verdict) add(e event, failed func()) {
	if e.Action == "run" {
		v.ran++
	}
	if v.how != passed {
		return
	}
	switch {
	case e.Action == "fail" && e.Test != "":
		v.how, v.test = assertion, e.Test
		failed()
	case e.Action == "fail":
		v.how = crash
	case e.Action != "output":
	case strings.HasPrefix(e.Output, "panic: test timed out"):
		v.how = timeout
	case strings.HasPrefix(e.Output, "panic: "), strings.HasPrefix(e.Output, "fatal error: "):
		v.how, v.test = crash, e.Test
	}
}
