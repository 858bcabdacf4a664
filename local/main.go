// Command local runs the whole service as one program on one port. On a developer's machine it starts an embedded
// PostgreSQL and Redis. In the container DATABASE_URL and REDIS_URL name them.
//
// It prints its greeting and results to stdout, and its log to stderr. The exit code is 0 after a signal, 1 if the program
// cannot start or continue, and 2 if its arguments are wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/shared/app"
)

const usage = `The database service: users, characters and sessions on one port.

  database-service [flags]           serve
  database-service emulator [flags]  serve as Lambda functions behind API Gateway (see database-service emulator -h)
  database-service invoke FUNCTION   call a function of a running emulator with a saved event (see database-service invoke -h)
  database-service migrate [flags]   bring the database at DATABASE_URL up to date (see database-service migrate -h)
  database-service keys new NAME     make an API key for a caller (see database-service keys -h)
  database-service healthcheck       exit with 0 if the service on this machine answers, else with 1
  database-service version           print version, revision and Go version; also as -version

In the repository, "go run ./local" is this program.

Flags of serve:
  -data DIR   keep the data of the embedded PostgreSQL in DIR; without it, the data is removed at the end
  -grace D    after a signal, report "not ready" for D (for example 5s) before connections are refused,
              so that a load balancer can use other instances first; default 0

Environment (local/README.md lists all variables):
  DATABASE_URL   postgres://user:password@host:5432/database of a migrated database
                 not set: an embedded PostgreSQL (installed or fetched) with demo data
  REDIS_URL      redis://host:6379, rediss:// for TLS; not set: an embedded Redis; off: no cache
  CALLERS_FILE   names the callers and what they may do; not set: any caller has all rights
  LISTEN_ADDR    default 0.0.0.0
  SERVICE_PORT   default 50052
  ADMIN_ADDR     host:port of /metrics, or off; default 127.0.0.1:50053
  LOG_LEVEL      debug, info, warn or error; default info
  LOG_FORMAT     json or text; default text on a terminal, else json

GET /healthz reports that the process runs, GET /readyz whether it can serve.
`

// usageError is in every error about wrong arguments. It is the command whose -h explains them.
type usageError string

func (e usageError) Error() string { return "see " + string(e) + " -h" }

const errUsage usageError = "database-service"

// helpOf returns the usage error of the command that has the flags.
func helpOf(f *flag.FlagSet) usageError {
	if f.Name() == "local" {
		return errUsage
	}
	return usageError("database-service " + f.Name())
}

func main() {
	os.Exit(execute(app.Budgets{}))
}

// untilSignal returns a context that ends at the first signal. From then on, a second one ends the process at once.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before the context ends: what follows can be seen from outside, and the second signal may come then
		cancel()
	}()
	return ctx
}

// execute runs the command of the arguments and returns the exit code.
func execute(b app.Budgets) (code int) {
	err := run(untilSignal(), os.Args[1:], b)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(os.Stderr, "database-service:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

func run(ctx context.Context, args []string, b app.Budgets) error {
	command := "serve"
	switch {
	case len(args) == 0:
	case !strings.HasPrefix(args[0], "-"):
		command, args = args[0], args[1:]
	case args[0] == "-version" || args[0] == "--version":
		command = "version"
	}
	switch command {
	case "serve":
		return runServe(ctx, args, b)
	case "emulator":
		return runEmulator(ctx, args)
	case "invoke":
		return runInvoke(ctx, args)
	case "migrate":
		return runMigrate(ctx, args, os.Stdout)
	case "keys":
		return runKeys(args, os.Stdout, os.Stderr, time.Now())
	case "healthcheck":
		return runHealthcheck(ctx, args)
	case "version":
		return printVersion(os.Stdout)
	case "help":
		fmt.Print(usage)
		return nil
	}
	return fmt.Errorf("there is no command %q: %w", command, errUsage)
}

// parse reads the flags of a command that takes no arguments. -h prints text.
func parse(f *flag.FlagSet, args []string, text string) error {
	err := parseFlags(f, args, text)
	if err == nil && f.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: %w", f.Arg(0), helpOf(f))
	}
	return err
}

// parseFlags reads the flags up to the first argument that is not a flag.
func parseFlags(f *flag.FlagSet, args []string, text string) error {
	f.SetOutput(io.Discard) // a mistake prints one line, not the whole help
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(text)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", err, helpOf(f))
	}
	return nil
}
