// Command reliability measures how the service behaves under faults, on this machine: `go run ./scripts/bench/reliability`
// runs all of it, `go run ./scripts/bench/reliability staleness` one part. It starts PostgreSQL, redis-server (which must
// be installed) and processes of the real program, with fault proxies between them; all on 127.0.0.1, and all end with it.
//
//	staleness   reads while the service and a web application write: how old the answers are, without and with faults
//	sessions    sessions revoked and users banned while the service is asked about them
//	redis       latency while Redis is killed, and while it hangs
//	postgres    latency and outcomes while PostgreSQL hangs, and while it is restarted
//	promotion   the same while a standby of PostgreSQL takes over that lacks some commits
//	herd        10,000 readers of one key that is not in the cache
//	saves       64 writers who save the same characters, without and with answers that are lost
//	overload    ten times as much as PostgreSQL can do, and as the CPU can
//	sigterm     the program told to end while it has much to do
//
// Flags:
//
//	-o FILE        write the report as Markdown, scripts/bench/reliability.md say, and the plots beside it
//	-seconds N     how long the staleness run lasts, about; longer where the machine is too slow for what the goals count
//	-quick         a short version of everything, which shows that it works and proves little
//	-seed N        of the faults' order; the report names the one that was used
//	-overlay FILE  passed on to go build: with a bug planted in the program the numbers must show it
//
// It exits with 1 where a goal was missed.
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
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

// options are the flags that parts read, as world.options.
type options struct {
	seconds int
	quick   bool
	seed    uint64
}

// count is how many of something a part makes: n, or a fiftieth in a quick run.
func (o options) count(n int) int {
	if o.quick {
		return n / 50
	}
	return n
}

// part is one thing to measure, in a world of its own, which it may leave broken. Its rows and details count also where
// it returns an error; the error is a missed row then.
type part struct {
	name string
	run  func(ctx context.Context, w *world) (section, error)
}

func allParts() []part {
	return []part{
		{"staleness", runStaleness},
		{"sessions", runSessions},
		{"redis", runRedisFaults},
		{"postgres", runPostgresFaults},
		{"promotion", runPromotion},
		{"herd", runHerd},
		{"saves", runSavers},
		{"overload", runOverload},
		{"sigterm", runSigterm},
	}
}

var errMissed = errors.New("a goal was missed; the table says which")

func main() {
	log.SetFlags(log.Ltime)
	debug.SetGCPercent(400) // the load's own work takes time from the servers'
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	name := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	var o options
	flags := flag.NewFlagSet("reliability", flag.ExitOnError)
	file := flags.String("o", "", "write the report to this file, scripts/bench/reliability.md say")
	overlay := flags.String("overlay", "", "passed on to go build")
	flags.IntVar(&o.seconds, "seconds", 300, "how long the staleness run lasts, about")
	flags.BoolVar(&o.quick, "quick", false, "a short version of everything")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the faults' order")
	_ = flags.Parse(args) // exits where it fails
	chosen, left, err := choose(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(*file)); err != nil {
		return err // rather now than when all is measured
	}
	if err := testbed.HaveRedis(); err != nil {
		return err
	}
	p, err := build(ctx, *overlay)
	if err != nil {
		return err
	}
	defer p.remove()
	return measureAll(ctx, chosen, left, p, o, *file)
}

func measureAll(ctx context.Context, chosen, left []part, p *program, o options, file string) error {
	r := newReport(o)
	for _, c := range chosen {
		log.Print(c.name)
		r.add(measure(ctx, c, p, o))
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
	}
	for _, c := range left {
		r.skip(c)
	}
	return r.finish(file)
}

// choose returns the parts of that name, all for "", and the others.
func choose(name string) (chosen, left []part, err error) {
	for _, p := range allParts() {
		if name == "" || name == p.name {
			chosen = append(chosen, p)
		} else {
			left = append(left, p)
		}
	}
	if chosen == nil {
		err = fmt.Errorf("%s is not known; see the top of main.go for the parts", name)
	}
	return chosen, left, err
}

// measure runs one part. What it could not do is a row, so that the report leaves nothing out.
func measure(ctx context.Context, c part, p *program, o options) (s section) {
	began := time.Now()
	w, err := newWorld(ctx, p, o)
	servers := ""
	if err == nil {
		servers = w.Versions(ctx)
		s, err = c.run(ctx, w)
		err = errors.Join(err, w.close())
	}
	if err != nil {
		log.Printf("%s: %v", c.name, err)
		first, _, _ := strings.Cut(err.Error(), "\n")
		s.missed(c.name+" ran to its end", "yes", first)
	}
	if s.title == "" {
		s.title = c.name
	}
	s.servers = servers
	s.note("It took %.0f s.", time.Since(began).Seconds())
	return s
}
