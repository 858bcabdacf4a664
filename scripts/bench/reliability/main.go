// Command reliability measures how the service behaves under faults, on this machine:
//
//	go -C scripts/bench run ./reliability                      all parts
//	go -C scripts/bench run ./reliability staleness            one part
//	go -C scripts/bench run ./reliability -o reliability.md    write the report and its plots too
//
// It starts PostgreSQL, redis-server (which must be installed) and processes of the service's program, with fault proxies
// between them. All listen on 127.0.0.1 and end with it. The parts:
//
//	staleness   age of the answers while the service and a web application write, without and with faults
//	memory      users in the memory of a process, while the web application writes and servers fail
//	sessions    calls about sessions that are being revoked and users that are being banned
//	redis       latency while Redis is down, and while it hangs
//	postgres    latency and answers while PostgreSQL hangs, and while it restarts
//	promotion   the same while a standby of PostgreSQL that lacks some commits takes over
//	herd        10,000 readers of one uncached key
//	saves       64 writers that save the same characters, without and with lost answers
//	overload    ten times the load that PostgreSQL can serve, and that the CPU can
//	quota       a CPU quota, and up to 1,024 connections (cgroup v1; needs root)
//	hostile     what callers that attack cost others
//	freeze      the process is frozen, or its CPU is taken, for 2 s
//	sigterm     SIGTERM under full load
//
// Flags:
//
//	-o FILE        write the report as Markdown to FILE, and the plots next to it
//	-seconds N     duration of the staleness part; it takes longer if the machine is too slow for the counts of the goals
//	-quick         a short version of everything, which only shows that it works
//	-attack NAME   only this attack of the part hostile
//	-seed N        seed of the faults' order; the report names it
//	-overlay FILE  passed to go build, to see that the numbers show a mutant
//
// It exits with 1 if a goal was missed.
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

// options are the flags that the parts read.
type options struct {
	seconds int
	quick   bool
	seed    uint64
	attack  string // "": all
}

// count returns n, and a fiftieth of it in a quick run.
func (o options) count(n int) int {
	if o.quick {
		return n / 50
	}
	return n
}

// part is one measurement. It has a world that no other part uses, and may leave it broken. If it returns an error, its
// rows still count, and the error becomes a missed row.
type part struct {
	name string
	run  func(ctx context.Context, w *world) (section, error)
}

func allParts() []part {
	return []part{
		{"staleness", runStaleness},
		{"memory", runMemory},
		{"shared", runShared},
		{"sessions", runSessions},
		{"redis", runRedisFaults},
		{"postgres", runPostgresFaults},
		{"promotion", runPromotion},
		{"herd", runHerd},
		{"saves", runSavers},
		{"overload", runOverload},
		{"quota", runQuota},
		{"hostile", runHostile},
		{"freeze", runFreeze},
		{"sigterm", runSigterm},
	}
}

var errMissed = errors.New("a goal was missed; the table says which")

func main() {
	log.SetFlags(log.Ltime)
	if len(os.Args) > 1 && os.Args[1] == hostileMode {
		if err := runAttack(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	if os.Getenv(constantMode) != "" {
		log.Fatal(serveConstant())
	}
	debug.SetGCPercent(400) // the load generator takes CPU from the servers
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
	file := flags.String("o", "", "write the report to this file as Markdown, and the plots next to it")
	overlay := flags.String("overlay", "", "passed to go build")
	flags.IntVar(&o.seconds, "seconds", 300, "duration of the staleness part")
	flags.BoolVar(&o.quick, "quick", false, "a short version of everything")
	flags.StringVar(&o.attack, "attack", "", "hostile: only this attack")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the order of the faults")
	_ = flags.Parse(args) // exits on error
	chosen, left, err := choose(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(*file)); err != nil {
		return err // now, not after the measurements
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

// choose returns the parts with that name (all for "") and the others.
func choose(name string) (chosen, left []part, err error) {
	for _, p := range allParts() {
		if name == "" || name == p.name {
			chosen = append(chosen, p)
		} else {
			left = append(left, p)
		}
	}
	if chosen == nil {
		err = fmt.Errorf("unknown part %q; main.go lists the parts", name)
	}
	return chosen, left, err
}

// measure runs one part. An error becomes a row, so that the report is complete.
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
		s.missed(c.name+": complete", "yes", first)
	}
	if s.title == "" {
		s.title = c.name
	}
	s.servers = servers
	s.note("It took %.0f s.", time.Since(began).Seconds())
	return s
}
