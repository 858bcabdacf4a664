// Command bench measures the numbers that this project promises, on this machine:
//
//	go -C scripts/bench run .                  all parts
//	go -C scripts/bench run . cpu              one part: cpu, mixed, races, queries, redis-kill or cold
//	go -C scripts/bench run . -o results.md    write the tables as Markdown too
//
// The parts:
//
//	cpu         CPU of the server process and allocations per request, as ratios to a constant Twirp answer and to a
//	            Twirp handler with one SELECT
//	mixed       Twirp and gRPC callers on one port at the same time, for -mixed (60 s)
//	races       concurrent creates: the slot limit, one name, one request id
//	queries     statements and DELs per call, counted on the wire
//	redis-kill  reads while Redis is killed and restarted
//	cold        start time and size of the Lambda functions, as ratios to a hello world on aws-lambda-go; beside them a function of
//	            only the libraries that all of them need
//	profile     CPU and allocation profiles of one variant of cpu: profile -variant "GetUser hit"; not one of all parts
//	staff       StaffService's searches among a million users; not one of all parts
//
// It starts PostgreSQL, Redis and, in a separate process, the server. All listen on 127.0.0.1 and end with it. It exits
// with 1 if a goal was missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	rounds, requests, connections, starts int
	mixed                                 time.Duration
	variant, dir                          string
}

// part is one measurement.
type part struct {
	name string
	run  func(ctx context.Context, w *world, o options) (section, error)
}

var parts = []part{{"cpu", runCPU}, {"mixed", runMixed}, {"races", runRaces}, {"queries", runQueries}, {"redis-kill", runRedisKill}, {"cold", runCold}}

// errMissed: a number misses its goal. The table says which.
var errMissed = errors.New("a goal was missed")

func main() {
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == serverMode {
		if err := serve(); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	var chosen []part
	name := "all"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	for _, p := range append(parts, part{"profile", runProfile}, part{"staff", runStaff}) {
		if p.name == name || name == "all" && p.name != "profile" && p.name != "staff" {
			chosen = append(chosen, p)
		}
	}
	if chosen == nil {
		return fmt.Errorf("unknown part %q (parts: cpu, mixed, races, queries, redis-kill, cold, profile, staff, all)", name)
	}
	var o options
	var file string
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&file, "o", "", "write the tables to this file as Markdown")
	flags.IntVar(&o.rounds, "rounds", 40, "cpu: slices of each path")
	flags.IntVar(&o.requests, "requests", 1000, "cpu: requests in a slice, at most 4000")
	flags.IntVar(&o.connections, "connections", 32, "cpu: connections")
	flags.DurationVar(&o.mixed, "mixed", time.Minute, "mixed: duration")
	flags.IntVar(&o.starts, "starts", 100, "cold: starts of each binary")
	flags.StringVar(&o.variant, "variant", "", "profile: the path to load (default: GetUser hit); cpu: only this path and those that it is compared with; cold: only this function")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "profile: the directory for the profiles")
	_ = flags.Parse(args) // exits on error
	return measure(ctx, chosen, o, file)
}

// measure runs the parts one after the other. A missed goal does not stop it.
func measure(ctx context.Context, chosen []part, o options, file string) (err error) {
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	report := newReport(ctx, w)
	for _, p := range chosen {
		log.Print(p.name)
		s, partErr := p.run(ctx, w, o)
		if partErr != nil && !errors.Is(partErr, errMissed) {
			return fmt.Errorf("%s: %w", p.name, partErr)
		}
		report.add(s)
		if partErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", p.name, partErr))
		}
	}
	if file != "" {
		err = errors.Join(err, report.write(file))
	}
	return err
}
