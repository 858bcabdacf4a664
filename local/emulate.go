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

  local emulator [flags]

  -template FILE     where routes, timeouts, memory and environment come from; default template.yaml
  -parameter K=V     value of a parameter of the template; may be repeated
  -functions DIR     run the real binaries, DIR/NAME/bootstrap, as scripts/build makes them for Linux (with -amd64 on such a
                     machine); without, the functions run in this process, and take their environment from it
  -watch             build the functions for this machine, and again when a source or the template changes; running requests
                     finish on the old build, and it stays where the new one does not compile. With -functions DIR, those
                     are run first
  -gateway KIND      who calls the functions: v2 (HTTP API, default), v1 (REST API), furl (Function URL), alb, alb-multi
  -data DIR          keep the data of the embedded PostgreSQL in DIR; without, it is gone at the end
  -save DIR          write each event to a file, for local invoke and sam local invoke -e; they hold what the requests
                     hold, tokens included
  -processes N       processes of one function at most, default 64; each has a connection to the database

A request may choose another gateway, by the path /_gateway/KIND/... or by the header X-Emulator-Gateway: KIND. The AWS CLI
and SDKs call functions with --endpoint-url http://127.0.0.1:50052. Environment as for local (see local -h), but the default
of LISTEN_ADDR is 127.0.0.1, for whoever reaches the port may call every function; a variable that the template declares for a
function and that is set here has this value in the function.
`

// emulatorFlags are the flags of local emulator.
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
	c.TLS = config.TLS{}                // the AWS CLI and SDKs are sent here without
	if os.Getenv("LISTEN_ADDR") == "" { // the Invoke API lets everybody in
		c.Listen = strings.TrimPrefix(baseURL(c.Config), "http://")
	}
	if f.data != "" && c.DatabaseURL != "" {
		return fmt.Errorf("-data is for the embedded PostgreSQL, and DATABASE_URL names another: %w", usageError("local emulator"))
	}
	closeTraces, err := trace(&c, true)
	if err != nil {
		return err
	}
	defer closeTraces()
	return withBackends(ctx, c, f.data, func(c app.Options, b *backends) error { return emulate(ctx, c, b, f) })
}

// emulate runs the functions on b until ctx ends, or b does.
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
	h := newHealth(p)
	server := newServer(p, besideHealth(h, e))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if f.watch {
		go e.Watch(ctx, func() { fmt.Println("\nBuilding ...") }, tellReload)
	}
	greetEmulator(os.Stdout, f, e, greeting{url: url, database: p.DB.Address(), redis: redisAddress(c.RedisURL), backends: b})

	select {
	case <-ctx.Done():
	case <-b.postgresDone():
		err = errors.New("the embedded PostgreSQL has ended, and nobody asked it to")
	case err = <-failed:
	}
	return errors.Join(err, stopEmulator(e, server, p))
}

// stopEmulator lets requests finish, and then ends the functions: their polls would keep the server from ending.
func stopEmulator(e *emulator.Emulator, server *http.Server, p *app.Program) error {
	ctx, cancel := context.WithTimeout(context.Background(), syncTimeout)
	defer cancel()
	err := e.Shutdown(ctx)
	drain(server, nil, p.Log)
	return err
}

// newEmulator runs functions on p's servers, whatever else the template says of them.
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
		err = fmt.Errorf("%w: local/emulate_functions.go", err)
	}
	return e, err
}

// besideHealth keeps the two paths of health checks. A mux would redirect paths that a gateway lets through.
func besideHealth(h *health, e *emulator.Emulator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/healthz":
			h.serveAlive(w, r)
		case r.Method == http.MethodGet && r.URL.Path == "/readyz":
			h.serveReady(w, r)
		default:
			e.ServeHTTP(w, r)
		}
	})
}

func tellReload(changed bool, err error) {
	switch {
	case err != nil:
		fmt.Printf("The old build stays: %v\n", err)
	case changed:
		fmt.Println("The functions were reloaded.")
	default:
		fmt.Println("Nothing has changed in what runs.")
	}
}
