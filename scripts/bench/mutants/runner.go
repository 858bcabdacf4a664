package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// retries is how often the test that failed runs again. It must fail at least once more, or it was chance.
const retries = 3

// result is what the tests say about one mutant.
type result struct {
	mutant
	how    how
	pkg    string // whose tests found it
	test   string // the first test that failed
	chance bool   // the same test passed each time it ran again
	err    error  // the mutant could not be compiled or tested
	took   time.Duration
}

// found is whether a test failed with the mutant.
func (r result) found() bool { return r.err == nil && r.how != passed && r.how != "" }

// convincing is whether a test reported a failure, and did so again.
func (r result) convincing() bool { return r.err == nil && r.how == assertion && !r.chance }

// runner tests mutants. Its methods may be called concurrently.
type runner struct {
	root    string
	dir     string // temporary, for the tests without a mutant
	timeout time.Duration
	hints   map[string]result // by name: what found the mutant in an earlier run

	mu    sync.Mutex
	clean map[string]func() (tests, error) // by package: its tests without a mutant, compiled on first use
}

// all tests each mutant, with that many at once. done gets each result as it comes.
func (r *runner) all(ctx context.Context, mutants []mutant, parallel int, done func(result) error) error {
	places := make(chan struct{}, max(parallel, 1))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, m := range mutants {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			res := r.one(ctx, m)
			if ctx.Err() != nil {
				return // the result is about the interruption
			}
			log.Printf("%-36s %s (%.0f s)", m.Name, res.says(), res.took.Seconds())
			mu.Lock()
			defer mu.Unlock()
			if err := done(res); err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// one tests one mutant.
func (r *runner) one(ctx context.Context, m mutant) result {
	res := result{mutant: m, how: passed}
	start := time.Now()
	res.err = r.find(ctx, &res)
	res.took = time.Since(start)
	return res
}

// find runs the tests of one package after the other until one finds the mutant. The test that found it in an earlier
// run goes first.
func (r *runner) find(ctx context.Context, res *result) error {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := res.write(r.root, dir)
	if err != nil {
		return err
	}
	if hint := r.hints[res.Name]; hint.test != "" {
		if err := r.ask(ctx, res, hint.pkg, overlay, dir, only(hint.test)); err != nil || res.convincing() {
			return err
		}
	}
	for _, p := range res.Packages {
		if err := r.ask(ctx, res, p, overlay, dir, res.Run); err != nil || res.found() {
			return err
		}
	}
	return nil
}

// ask runs the tests of one package that match the pattern, and enters a failure into the result.
func (r *runner) ask(ctx context.Context, res *result, pkg, overlay, dir, pattern string) error {
	t, err := r.compile(ctx, pkg, overlay, dir)
	if err != nil {
		return err
	}
	v, err := t.run(ctx, pattern)
	switch {
	case err != nil:
		return err
	case v.how == passed && v.ran == 0:
		return fmt.Errorf("no test of %s matches %q", pkg, pattern)
	case v.how == passed:
		return nil
	}
	res.how, res.pkg, res.test = v.how, pkg, v.test
	if v.test == "" {
		return nil
	}
	if err := r.passesWithout(ctx, pkg, v.test); err != nil {
		return err
	}
	res.chance = true
	for range retries {
		again, err := t.run(ctx, only(v.test))
		if err != nil {
			return err
		}
		if again.how != passed {
			res.chance = false
			break
		}
	}
	return nil
}

// passesWithout returns an error if the test fails without any mutant too: its failure says nothing then.
func (r *runner) passesWithout(ctx context.Context, pkg, test string) error {
	r.mu.Lock()
	compiled := r.clean[pkg]
	if compiled == nil {
		compiled = sync.OnceValues(func() (tests, error) { return r.compile(ctx, pkg, "", r.dir) })
		r.clean[pkg] = compiled
	}
	r.mu.Unlock()
	t, err := compiled()
	if err != nil {
		return err
	}
	for range retries { // a busy machine may make it fail once
		if v, err := t.run(ctx, only(test)); err != nil || v.how == passed {
			return err
		}
	}
	return errors.New(pkg + " " + test + " fails without a mutant too")
}

// only is the pattern of the top-level test that test is or belongs to.
func only(test string) string {
	top, _, _ := strings.Cut(test, "/")
	return "^" + regexp.QuoteMeta(top) + "$"
}
