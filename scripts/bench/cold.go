package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/osirose-new/database-service/scripts/bench/internal/repository"
)

const (
	megabyte = 1e6 // bytes
	arm64    = ".arm64"
	redisURL = "REDIS_URL=redis://127.0.0.1:1"
)

// binary is one build of a function, with its configuration.
type binary struct {
	name, build string
	own         bool // of this module, not of the service's
	tags        string
	env         []string
	goalStart   float64 // ratio to hello
	goalSize    float64 // megabytes, for arm64, which template.yaml deploys
	path        string
	starts      []start
	hello       []start // one right before or after each of starts
}

// newBinaries lists the builds to measure. Nothing listens on their addresses: a function that dials before its first
// request logs an error and takes longer.
func newBinaries() []*binary {
	var all []*binary
	url := []string{"DATABASE_URL=postgres://u@127.0.0.1:1/x", redisURL}
	secret := []string{"DATABASE_URL=postgres://127.0.0.1:1/x", redisURL, "DATABASE_SECRET_ARN=arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"}
	for _, name := range []string{"user", "session", "character", "purge"} {
		all = append(all,
			&binary{name: name, build: "noaws", tags: "lambda.norpc,noaws", env: url, goalStart: 1.35, goalSize: 15},
			&binary{name: name, build: "with AWS", tags: "lambda.norpc", env: url, goalSize: 18},
			&binary{name: name, build: "with AWS, secret configured", tags: "lambda.norpc", env: secret, goalStart: 1.8, goalSize: 18})
	}
	return append(all, &binary{name: "libraries", build: "Twirp, pgx, go-redis", own: true, tags: "lambda.norpc", env: url, goalSize: 15})
}

func runCold(ctx context.Context, w *world, o options) (section, error) {
	hello := &binary{name: "hello", build: "aws-lambda-go", own: true, tags: "lambda.norpc"}
	all := newBinaries()
	if o.variant != "" {
		all = slices.DeleteFunc(all, func(b *binary) bool { return b.name != o.variant && !b.own })
	}
	root, err := repository.Root()
	if err != nil {
		return section{}, err
	}
	if err := buildAll(ctx, root, w.Dir, append(all, hello)); err != nil {
		return section{}, err
	}
	api, err := newRuntimeAPI()
	if err != nil {
		return section{}, err
	}
	defer api.close()
	// A function dies with the thread that started it, so this goroutine keeps its thread until all have ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for round := range o.starts + 1 { // the first round reads the files from disk and does not count
		for _, b := range all {
			if err := api.startPair(ctx, hello, b, round); err != nil {
				return section{}, err
			}
		}
		if round%20 == 19 {
			log.Printf("cold: round %d of %d", round+1, o.starts)
		}
	}
	return coldSection(ctx, root, hello, all, o)
}

// startPair starts hello and b, in an order that changes with each round. Round 0 does not count.
func (a *runtimeAPI) startPair(ctx context.Context, hello, b *binary, round int) error {
	pair := []*binary{hello, b}
	if round%2 == 1 {
		pair[0], pair[1] = b, hello
	}
	for _, one := range pair {
		s, err := a.start(ctx, one)
		if err != nil {
			return fmt.Errorf("%s (%s): %w", one.name, one.build, err)
		}
		switch {
		case round == 0:
		case one == hello:
			b.hello = append(b.hello, s)
		default:
			b.starts = append(b.starts, s)
		}
	}
	return nil
}

// buildAll builds with the flags of a release, for this machine and for arm64.
func buildAll(ctx context.Context, root, dir string, all []*binary) error {
	for _, b := range all {
		b.path = filepath.Join(dir, b.name+"-"+strings.ReplaceAll(b.tags, ",", "-"))
		if _, err := os.Stat(b.path); err == nil {
			continue
		}
		if err := errors.Join(b.buildFor(ctx, root, runtime.GOARCH, b.path), b.buildFor(ctx, root, "arm64", b.path+arm64)); err != nil {
			return err
		}
	}
	return nil
}

func (b *binary) buildFor(ctx context.Context, root, arch, path string) error {
	dir, source := root, "./functions/"+b.name
	if b.own {
		dir, source = filepath.Join(root, "scripts", "bench"), "./"+b.name
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags="+b.tags, "-ldflags=-s -w -buildid=", "-o", path, source)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	// The linker writes page by page through a memory mapping, and the kernel keeps such a file in small pieces. The same
	// bytes written at once, as when a zip is unpacked, start a quarter faster. So each file is rewritten at once.
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o755) // a program must be executable
}

// megabytes is the size of a file, and 0 if there is none.
func megabytes(path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return float64(info.Size()) / megabyte
}

func coldSection(ctx context.Context, root string, hello *binary, all []*binary, o options) (section, error) {
	s := section{
		title: "Cold start",
		head:  []string{"function", "build", "wall", "quartiles", "quiet", "CPU", "quartiles", "quiet", "goal", "", "ms wall", "ms CPU", "MB", "MB arm64", "goal", ""},
	}
	missed := false
	for _, b := range all {
		wall, cpu := b.ratios(start.wallMS), b.ratios(start.cpuMS)
		size := megabytes(b.path + arm64)
		goal, verdict := "", ""
		if b.goalStart > 0 {
			ok := median(wall) <= b.goalStart && median(cpu) <= b.goalStart
			goal, verdict = fmt.Sprintf("%.2f", b.goalStart), held(ok)
			missed = missed || !ok
		}
		missed = missed || size > b.goalSize
		s.row(b.name, b.build, fmt.Sprintf("%.2f", median(wall)), quartiles(wall), quiet(b, start.wallMS),
			fmt.Sprintf("%.2f", median(cpu)), quartiles(cpu), quiet(b, start.cpuMS), goal, verdict,
			fmt.Sprintf("%.1f", median(each(b.starts, start.wallMS))), fmt.Sprintf("%.1f", median(each(b.starts, start.cpuMS))),
			fmt.Sprintf("%.1f", megabytes(b.path)), fmt.Sprintf("%.1f", size), fmt.Sprintf("%.0f", b.goalSize), held(size <= b.goalSize))
	}
	first := all[0]
	s.note("Time from exec to the first poll of the Runtime API, as a ratio to a hello world on aws-lambda-go that was built with the same flags "+
		"and started right before or after. The numbers are medians over %d pairs; CPU is the user and system time of the process. The quiet ratio compares "+
		"the first quartiles, which other load on the machine affects least. The goal holds for both. hello: %.1f ms wall, %.1f ms CPU, %.1f MB. 1 MB is 10^6 bytes. The goal for the size is for arm64, which template.yaml deploys.",
		o.starts, median(each(first.hello, start.wallMS)), median(each(first.hello, start.cpuMS)), megabytes(hello.path))
	if err := noteAdapter(ctx, root, &s); err != nil {
		return s, err
	}
	if missed {
		return s, errMissed
	}
	return s, nil
}

// ratios compares the starts pair by pair.
func (b *binary) ratios(of func(start) float64) []float64 {
	r := make([]float64, len(b.starts))
	for i := range r {
		r[i] = of(b.starts[i]) / of(b.hello[i])
	}
	return r
}

func quiet(b *binary, of func(start) float64) string {
	return fmt.Sprintf("%.2f", quantile(each(b.starts, of), 0.25)/quantile(each(b.hello, of), 0.25))
}

func quartiles(all []float64) string {
	return fmt.Sprintf("%.2f to %.2f", quantile(all, 0.25), quantile(all, 0.75))
}

func each(all []start, of func(start) float64) []float64 {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	return values
}

func (s start) wallMS() float64 { return float64(s.wall) / float64(time.Millisecond) }
func (s start) cpuMS() float64  { return float64(s.cpu) / float64(time.Millisecond) }

// noteAdapter adds the cost of the adapter per event.
func noteAdapter(ctx context.Context, root string, s *section) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=.", "-benchtime=0.5s", "./shared/lambdahttp")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("benchmark of shared/lambdahttp: %w\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			s.note("shared/lambdahttp: %s", strings.Join(strings.Fields(line), " "))
		}
	}
	return nil
}
