package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
)

const emulatorUsage = `Serves the services as Lambda functions behind API Gateway, on one port, without Docker or an AWS account.

  database-service emulator [flags]

  -template FILE     the template with routes, timeouts, memory and environment; default template.yaml
  -parameter K=V     value of a parameter of the template; may be repeated
  -functions DIR     run the real binaries, DIR/NAME/bootstrap. scripts/build builds them for Linux on arm64, with -amd64 for
                     Linux on amd64. Without it, the functions run in this process and share its environment
  -watch             build the functions for this machine, and again after each change of a source or of the template. Running
                     requests finish on the old build. If the new one does not compile, the old one stays. With
                     -functions DIR, the binaries in DIR run until the first change
  -gateway KIND      default gateway: v2 (HTTP API, default), v1 (REST API), furl (Function URL), alb, alb-multi
  -data DIR          keep the data of the embedded PostgreSQL in DIR; by default it is deleted at the end
  -save DIR          write each event to a file, for invoke and sam local invoke -e. Events contain the contents of
                     requests, including tokens
  -processes N       maximum number of processes of one function, default 64; each has a connection to the database

A request chooses another gateway by the path /_gateway/KIND/... or by the header X-Emulator-Gateway: KIND. The AWS CLI and
SDKs call functions with --endpoint-url http://127.0.0.1:50052. The environment is that of serving (see database-service -h), except that the
default of LISTEN_ADDR is 127.0.0.1, because every caller that reaches the port may call every function. If the template
declares a variable for a function and the variable is set here, the function gets this value.
`

// emulatorFlags are the flags of database-service emulator.
type emulatorFlags struct {
	options emulator.Options
	watch   bool
	data    string
}

func parseEmulator(args []string) (emulatorFlags, error) {
	var f emulatorFlags
	o := &f.options
	o.Parameters = map[string]string{}
	set := flag.NewFlagSet("emulator", flag.ContinueOnError)
	set.StringVar(&o.Template, "template", "template.yaml", "")
	set.StringVar(&o.Binaries, "functions", "", "")
	set.BoolVar(&f.watch, "watch", false, "")
	set.StringVar(&o.SaveTo, "save", "", "")
	set.StringVar(&f.data, "data", "", "")
	set.IntVar(&o.MaxProcesses, "processes", 64, "")
	set.Func("gateway", "", func(s string) (err error) {
		o.Gateway, err = emulator.ParseGateway(s)
		return err
	})
	set.Func("parameter", "", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("want NAME=VALUE")
		}
		o.Parameters[name] = value
		return nil
	})
	if err := parse(set, args, emulatorUsage); err != nil {
		return f, err
	}
	if o.MaxProcesses < 1 {
		return f, fmt.Errorf("-processes is less than 1: %w", helpOf(set))
	}
	o.Build = f.watch
	return f, nil
}

// runEmulator serves until ctx ends.
func runEmulator(ctx context.Context, args []string) error {
	f, err := parseEmulator(args)
	if err != nil {
		return err
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	c.EmbedMetrics(os.Stdout)
	c.Events = true
	c.TLS = config.TLS{} // the AWS CLI and SDKs call this port without TLS
	listenHere(&c)       // the Invoke API has no authentication
	if f.data != "" && c.DatabaseURL != "" {
		return fmt.Errorf("-data is for the embedded PostgreSQL, but DATABASE_URL names another server: %w", usageError("database-service emulator"))
	}
	closeTraces, err := trace(&c, true)
	if err != nil {
		return err
	}
	defer closeTraces()
	return withBackends(ctx, c, f.data, func(c app.Options, b *backends) error { return emulate(ctx, c, b, f) })
}

// emulate runs the functions on b until ctx or b ends.
func emulate(ctx context.Context, c app.Options, b *backends, f emulatorFlags) error {
	p, err := app.Open(c)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := b.ready(ctx, p); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR and SERVICE_PORT: %w", err)
	}
	defer l.Close()
	url := baseURL(c.Config)
	e, err := newEmulator(p, f.options, strings.TrimPrefix(url, "http://"))
	if err != nil {
		return err
	}
	server := newServer(p, refusePages(besideGateway(p, newHealth(p), e)))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if f.watch {
		go e.Watch(ctx, func() { fmt.Println("\nBuilding ...") }, tellReload)
	}
	greetEmulator(os.Stdout, f, e, greeting{url: url, database: p.DB.Address(), redis: redisAddress(c.RedisURL), backends: b})

	select {
	case <-ctx.Done():
	case <-b.postgresDone():
		err = errors.New("the embedded PostgreSQL ended unexpectedly")
	case err = <-failed:
	}
	return errors.Join(err, stopEmulator(e, server, p))
}

// stopEmulator lets requests finish and ends the functions before the server: their polls would keep the server running.
func stopEmulator(e *emulator.Emulator, server *http.Server, p *app.Program) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := e.Shutdown(ctx)
	drain(server, nil, p.Log)
	return err
}

// newEmulator runs functions on p's database and Redis, which win over the template's.
func newEmulator(p *app.Program, o emulator.Options, address string) (*emulator.Emulator, error) {
	o.Address, o.Log, o.Output = address, p.Log, os.Stderr
	o.Environ = append(os.Environ(), "DATABASE_URL="+p.Config.DatabaseURL, "REDIS_URL="+p.Config.RedisURL)
	if o.Binaries == "" && !o.Build {
		o.Handlers = inProcess(p)
	}
	if o.Build && o.Binaries == "" {
		fmt.Println("Building the functions ...")
	}
	e, err := emulator.New(o)
	if errors.Is(err, emulator.ErrNoHandler) {
		err = fmt.Errorf("%w: add one to inProcess in local/emulate_functions.go", err)
	}
	return e, err
}

func tellReload(changed bool, err error) {
	switch {
	case err != nil:
		fmt.Printf("The old build stays: %v\n", err)
	case changed:
		fmt.Println("The functions were reloaded.")
	default:
		fmt.Println("No function or route has changed.")
	}
}
