// Package emulator serves Lambda functions and their gateways on one port, without an AWS account and without Docker. HTTP
// requests reach a function as events of API Gateway, of a Function URL or of a load balancer; the AWS CLI and SDKs reach it
// through the Invoke API. Functions run as the processes of a deployment, through the Runtime API, or in this process. Routes,
// timeouts, memory and environment come from the deployment's template.
//
// Every caller that reaches the port may call every function. For the differences from AWS see the packages gateway and
// runtime. A failed asynchronous event is retried at once, not after minutes.
package emulator

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/local/emulator/gateway"
	"github.com/osirose-new/database-service/local/emulator/runtime"
	"github.com/osirose-new/database-service/local/emulator/template"
)

// Gateway is a kind of gateway.
type Gateway = gateway.Kind

// The gateways.
const (
	HTTPAPI     = gateway.HTTPAPI
	RESTAPI     = gateway.RESTAPI
	FunctionURL = gateway.FunctionURL
	ALB         = gateway.ALB
	ALBMulti    = gateway.ALBMulti
)

// ParseGateway returns the gateway that a flag names: v2, v1, furl, alb or alb-multi.
func ParseGateway(s string) (Gateway, error) { return gateway.ParseKind(s) }

// Handler is a function that runs in this process; lambda.Handler of aws-lambda-go is one.
type Handler = runtime.Handler

// Options describe an emulator. Handlers, Binaries or Build say how functions run.
type Options struct {
	Template   string             // path of the template
	Parameters map[string]string  // of the template; they win over its defaults
	Handlers   map[string]Handler // by logical id: functions that run in this process
	Binaries   string             // folder of NAME/bootstrap, where NAME is the last element of CodeUri: real processes
	Build      bool               // real processes of programs built from CodeUri; with Binaries, from the first reload on
	Address    string             // host:port where processes reach the emulator
	Gateway    Gateway            // of requests that choose none; default HTTPAPI
	SaveTo     string             // folder for the events of all requests; empty: they are not saved
	// Environ has values for the variables that the template declares for a function, which win over the template's, and the
	// variables that every process needs. nil: os.Environ().
	Environ      []string
	MaxProcesses int           // of each function; ReservedConcurrentExecutions of the template may be less; 0: 64
	MaxQueue     int           // invocations of one function that wait for a process; more are throttled; 0: 1000
	InitTimeout  time.Duration // from a process's start to its first poll; 0: 10 s, as on Lambda
	Log          *slog.Logger  // nil: none
	Output       io.Writer     // gets what functions write, line by line; nil: none

	settle time.Duration // see runtime.Config; tests set it
	events time.Duration // how long Close waits for asynchronous events; tests set it
}

const defaultEvents = 5 * time.Second

// Emulator is an http.Handler. It must be closed.
type Emulator struct {
	options  Options
	log      *slog.Logger
	host     *runtime.Host
	backlog  backlog
	builder  *runtime.Builder // nil without Build
	recorder *recorder        // nil without SaveTo
	history  *history
	state    atomic.Pointer[state]

	reloading sync.Mutex
	seen      [32]byte // fingerprint of the sources when they were last read; under reloading
	closing   sync.Once
}

// ErrNoHandler is in New's error if functions run in this process and Handlers lacks one of the template's functions.
var ErrNoHandler = errors.New("there is no handler")

// New returns an emulator. It starts processes when they are needed.
func New(o Options) (*Emulator, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if (o.Binaries != "" || o.Build) && o.Address == "" {
		return nil, errors.New("the address of the emulator is missing: processes need it (Options.Address)")
	}
	e := &Emulator{options: o, log: o.Log, backlog: backlog{empty: make(chan struct{})}, history: newHistory()}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.SaveTo != "" {
		if e.recorder, err = newRecorder(o.SaveTo); err != nil {
			return nil, err
		}
	}
	e.host = runtime.NewHost(runtime.Config{
		Address: o.Address, Environ: o.Environ, MaxProcesses: o.MaxProcesses, MaxQueue: o.MaxQueue, InitTimeout: o.InitTimeout,
		Settle: o.settle, Log: o.Log, Output: o.Output, Line: e.history.write,
	})
	if o.Build {
		e.builder, err = runtime.NewBuilder(filepath.Dir(o.Template))
	}
	if err == nil {
		err = e.start()
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// start makes the first state.
func (e *Emulator) start() error {
	t, err := e.readTemplate()
	if err != nil {
		return err
	}
	programs := e.givenPrograms(t)
	if e.builder != nil && e.options.Binaries == "" {
		if programs, err = e.builder.Build(t.Functions); err != nil {
			return err
		}
	}
	return e.replace(t, programs)
}

// givenPrograms returns the paths of the programs in Binaries, by logical id.
func (e *Emulator) givenPrograms(t *template.Template) map[string]string {
	paths := map[string]string{}
	for _, f := range t.Functions {
		paths[f.ID] = filepath.Join(e.options.Binaries, f.Folder, "bootstrap")
	}
	return paths
}

// ServeHTTP implements http.Handler. The emulator must not stand behind an http.ServeMux, see gateway.New.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})  // a poll of the Runtime API lasts until there is work,
	_ = c.SetWriteDeadline(time.Time{}) // and an invocation may last minutes
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, runtime.Prefix):
		e.host.ServeHTTP(w, r)
	case path == functionsPath || strings.HasPrefix(path, functionsPath+"/"):
		e.serveInvokeAPI(w, r)
	default:
		e.state.Load().gateway.ServeHTTP(w, r)
	}
}

// Functions returns the logical ids of the template's functions, sorted.
func (e *Emulator) Functions() []string {
	var ids []string
	for _, f := range e.state.Load().functions {
		ids = append(ids, f.settings.ID)
	}
	return ids
}

// Shutdown refuses new invocations, waits for the running ones until ctx ends, and closes the emulator.
func (e *Emulator) Shutdown(ctx context.Context) error {
	e.backlog.close(ctx)
	e.host.Shutdown(ctx)
	return e.Close()
}

// Close waits at most 5 s for running asynchronous events, and ends every process.
func (e *Emulator) Close() error {
	var err error
	e.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(e.options.events, defaultEvents))
		defer cancel()
		e.backlog.close(ctx)
		e.host.Close()
		if e.builder != nil {
			err = e.builder.Close()
		}
	})
	return err
}

// save saves an event for replay, if Options.SaveTo is set.
func (e *Emulator) save(functionName string, event []byte) {
	if e.recorder == nil {
		return
	}
	if _, err := e.recorder.save(functionName, event); err != nil {
		e.log.Warn("save an event", "error", err)
	}
}
