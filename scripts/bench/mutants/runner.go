package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is what the tests say of one bug.
type result struct {
	bug
	found    bool
	by       string // the first test that failed
	timedOut bool   // that test hung
	luck     bool   // the same test passed when it ran again: it needs luck, or failed for another reason
	err      error  // it could not be planted or looked for
	took     time.Duration
}

type runner struct {
	root    string
	timeout time.Duration
}

var errBaseline = errors.New("without a bug these tests fail already, so what they say of one means nothing")

// baseline runs the tests of the bugs without any.
func (r runner) baseline(ctx context.Context, bugs []bug) error {
	var packages []string
	for _, b := range bugs {
		packages = append(packages, b.Packages...)
	}
	slices.Sort(packages)
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failed []string
	for _, p := range slices.Compact(packages) {
		start := time.Now()
		t, err := r.compile(ctx, p, "", dir)
		if err != nil {
			return err
		}
		o, err := t.run(ctx, "")
		if err == nil && o.failed { // a busy machine may have been too slow once
			log.Printf("no bug: %s fails: %s", p, cmp.Or(o.test, "the package"))
			o, err = t.run(ctx, "")
		}
		if err != nil {
			return err
		}
		log.Printf("no bug: %s: %d tests in %.0f s", p, o.ran, time.Since(start).Seconds())
		if o.failed {
			failed = append(failed, p+" ("+cmp.Or(o.test, "the package")+")")
		}
	}
	if failed != nil {
		return fmt.Errorf("%w: %s", errBaseline, strings.Join(failed, ", "))
	}
	return nil
}

// all plants each bug, that many at once.
func (r runner) all(ctx context.Context, bugs []bug, parallel int) ([]result, error) {
	results := make([]result, len(bugs))
	places := make(chan struct{}, max(parallel, 1))
	var wg sync.WaitGroup
	for i, b := range bugs {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			results[i] = r.one(ctx, b)
			log.Printf("%-32s %s (%.0f s)", b.Name, results[i].says(), results[i].took.Seconds())
		})
	}
	wg.Wait()
	return results, ctx.Err()
}

// one plants a bug and looks for it.
func (r runner) one(ctx context.Context, b bug) result {
	res := result{bug: b}
	start := time.Now()
	res.err = r.look(ctx, &res)
	res.took = time.Since(start)
	return res
}

// look asks the packages one after the other until one finds the bug.
func (r runner) look(ctx context.Context, res *result) error {
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := res.plant(r.root, dir)
	if err != nil {
		return err
	}
	for _, p := range res.Packages {
		t, err := r.compile(ctx, p, overlay, dir)
		if err != nil {
			return err
		}
		o, err := t.run(ctx, res.Run)
		switch {
		case err != nil:
			return err
		case o.ran == 0 && !o.failed:
			return errors.New("no test ran in " + p)
		case o.failed:
			return t.confirm(ctx, res, p, o)
		}
	}
	return nil
}

// confirm notes who found a bug, and runs that test once more.
func (t tests) confirm(ctx context.Context, res *result, pkg string, o outcome) error {
	res.found, res.timedOut, res.by = true, o.timedOut, pkg
	if o.test == "" || o.timedOut {
		return nil
	}
	res.by += " " + o.test
	top, _, _ := strings.Cut(o.test, "/")
	again, err := t.run(ctx, "^"+regexp.QuoteMeta(top)+"$")
	res.luck = !again.failed
	return err
}
