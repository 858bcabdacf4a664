// Command planted plants the bugs of bugs.yaml, one at a time, and runs the tests that should find each:
//
//	go run ./scripts/bench/mutants            all bugs; fails where the tests find less than 95 % of them
//	go run ./scripts/bench/mutants NAME...    these bugs only
//	go run ./scripts/bench/mutants -list      what there is
//	go run ./scripts/bench/mutants -o FILE    writes the table as Markdown, too
//
// A bug never touches the tree: the go command reads the patched copy of its file in place of the file (-overlay). The
// same tests run without a bug first and have to pass, for where they fail everything would look found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const wantFound = 0.95

var errMissed = fmt.Errorf("the tests find less than %.0f %% of the bugs", 100*wantFound)

type options struct {
	list     bool
	file     string
	parallel int
	timeout  time.Duration
	names    []string
}

func main() {
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.BoolVar(&o.list, "list", false, "list the bugs, and plant none")
	flag.StringVar(&o.file, "o", "", "write the table to this file")
	flag.IntVar(&o.parallel, "parallel", 1, "bugs at once")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute, "of the tests of one package")
	flag.Parse()
	o.names = flag.Args()
	if err := run(ctx, o); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	bugs, err := readBugs(filepath.Join(root, "scripts/bench/mutants/mutants.yaml"))
	if err != nil {
		return err
	}
	if bugs, err = choose(bugs, o.names); err != nil {
		return err
	}
	if o.list {
		printList(bugs)
		return nil
	}
	start := time.Now()
	r := runner{root: root, timeout: o.timeout}
	if err := r.baseline(ctx, bugs); err != nil {
		return err
	}
	results, err := r.all(ctx, bugs, o.parallel)
	if err != nil {
		return err
	}
	rep := report{results: results, took: time.Since(start)}
	fmt.Println(rep.summary())
	if o.file != "" {
		if err := os.WriteFile(o.file, []byte(rep.markdown()), 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	if rep.share() < wantFound {
		return errMissed
	}
	return nil
}

func printList(bugs []bug) {
	for _, b := range bugs {
		fmt.Printf("%-12s %-32s %s\n", b.area(), b.Name, b.What)
	}
	fmt.Println(len(bugs), "bugs")
}

// choose returns the bugs of these names, all where there is none.
func choose(bugs []bug, names []string) ([]bug, error) {
	if len(names) == 0 {
		return bugs, nil
	}
	byName := map[string]bug{}
	for _, b := range bugs {
		byName[b.Name] = b
	}
	var chosen []bug
	var unknown []string
	for _, name := range names {
		if b, ok := byName[name]; ok {
			chosen = append(chosen, b)
		} else {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, errors.New("there is no bug " + strings.Join(unknown, ", ") + "; see -list")
	}
	return chosen, nil
}
