// Command mutants checks that the tests find bugs. It applies the mutants of mutants.yaml, one at a time, and runs the
// tests that must find each:
//
//	go -C scripts/bench run ./mutants            test all mutants; exit with 1 unless an assertion finds each
//	go -C scripts/bench run ./mutants NAME...    only these mutants
//	go -C scripts/bench run ./mutants -list      list the mutants, and test none
//	go -C scripts/bench run ./mutants -o FILE    write the results as Markdown too, after each mutant
//	go -C scripts/bench run ./mutants -journal FILE
//	                                             append each result to FILE; a later run with the same FILE starts
//	                                             with the tests that found the mutants
//	go -C scripts/bench run ./mutants -journal FILE -resume
//	                                             skip the mutants whose results FILE already has
//
// A mutant never touches the source tree: the go command reads a patched copy of the file instead (-overlay). A failure
// counts only if the same test passes without a mutant. A mutant that only a panic or the test timeout finds misses the
// goal: such a test does not say what is wrong.
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
	"syscall"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/repository"
)

var errMissed = errors.New("an assertion must find each mutant; see the report")

type options struct {
	list, resume  bool
	file, journal string
	parallel      int
	timeout       time.Duration
	names         []string
}

func main() {
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.BoolVar(&o.list, "list", false, "list the mutants, and test none")
	flag.StringVar(&o.file, "o", "", "write the results to this file as Markdown, after each mutant")
	flag.StringVar(&o.journal, "journal", "", "append each result to this file, as JSON")
	flag.BoolVar(&o.resume, "resume", false, "skip the mutants whose results the journal already has")
	flag.IntVar(&o.parallel, "parallel", 2, "mutants to test at once")
	flag.DurationVar(&o.timeout, "timeout", 4*time.Minute, "time limit for the tests of one package")
	flag.Parse()
	o.names = flag.Args()
	if err := run(ctx, o); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	root, err := repository.Root()
	if err != nil {
		return err
	}
	mutants, err := readMutants(filepath.Join(root, mutantsFile))
	if err != nil {
		return err
	}
	if mutants, err = choose(mutants, o.names); err != nil {
		return err
	}
	if o.list {
		for _, m := range mutants {
			fmt.Printf("%-12s %-36s %s\n", m.area(), m.Name, m.What)
		}
		fmt.Println(len(mutants), "mutants")
		return nil
	}
	entries, err := readJournal(o.journal)
	if err != nil {
		return err
	}
	rep, err := testAll(ctx, root, mutants, entries, o)
	if err != nil {
		return err
	}
	fmt.Println(rep.summary())
	if !rep.good() {
		return errMissed
	}
	return nil
}

// testAll tests the mutants, and writes journal and report after each.
func testAll(ctx context.Context, root string, mutants []mutant, entries map[string]entry, o options) (report, error) {
	start := time.Now()
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return report{}, err
	}
	defer os.RemoveAll(dir)
	r := &runner{root: root, dir: dir, timeout: o.timeout, hints: map[string]result{}, clean: map[string]func() (tests, error){}}
	results := map[string]result{}
	var left []mutant
	for _, m := range mutants {
		e, known := entries[m.Name]
		if known = known && e.ID == m.id(); known {
			r.hints[m.Name] = e.result(m)
		}
		if known && o.resume && e.Err == "" {
			results[m.Name] = e.result(m)
		} else {
			left = append(left, m)
		}
	}
	now := func() report {
		rep := report{took: time.Since(start)}
		for _, m := range mutants {
			if res, ok := results[m.Name]; ok {
				rep.results = append(rep.results, res)
			}
		}
		rep.left = len(mutants) - len(rep.results)
		return rep
	}
	err = r.all(ctx, left, o.parallel, func(res result) error {
		results[res.Name] = res
		return errors.Join(appendJournal(o.journal, res), now().write(o.file))
	})
	return now(), errors.Join(err, now().write(o.file))
}
