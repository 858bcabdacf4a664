// Package emulator is AWS Lambda and its gateways on one port, for Go functions, without an account and without Docker:
// requests reach the functions as the events of API Gateway, of a Function URL or of a load balancer (see Gateway), and the
// AWS CLI and SDKs reach them through the Invoke API. Functions run as the processes that a deployment would run, through
// the Runtime API, or in process. Routes, timeouts, memory and environment come from the template of the deployment.
//
// It differs from Lambda where nothing could be shown on one machine: an invocation waits where Lambda would throttle it,
// until MaxQueue of them do; a failed event is tried again at once; a process is neither frozen between
// invocations nor limited in CPU and memory; and whoever reaches the port may call everything.
package emulator

import (
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
)

// Options are what an emulator is made from. Handlers, Binaries or Build say how functions run.
type Options struct {
	Template   string             // the path of the template
	Parameters map[string]string  // of the template, in place of its defaults
	Handlers   map[string]Handler // by logical id: in process
	Binaries   string             // a folder with NAME/bootstrap, where NAME is the last element of CodeUri: real processes
	Build      bool               // the processes run what CodeUri is built to; Binaries, where set, until something changes
	Address    string             // host:port where processes reach this handler
	Gateway    Gateway            // of requests that choose none; empty: HTTPAPI
	SaveTo     string             // a folder for the events of all requests; empty: none
	// Environ is where variables that the template declares for a function get another value, and where those are that
	// every process needs; nil: os.Environ().
	Environ []string
	// MaxProcesses is the limit for each function; ReservedConcurrentExecutions of the template may be less. 0: 64.
	MaxProcesses int
	MaxQueue     int           // invocations of one function that wait for a process, before more are throttled; 0: 1000
	InitTimeout  time.Duration // from a process's start to its first poll; 0: 10 s, as on Lambda
	Log          *slog.Logger
	Output       io.Writer // gets what functions write, line by line
}

// eventsPatience is how long events that run get when the emulator is closed.
const eventsPatience = 5 * time.Second

// Emulator is an http.Handler. It must be closed.
type Emulator struct {
	options Options
	host    *host
	backlog backlog
	builder *builder // nil: nothing is built
	record  *recorder
	state   atomic.Pointer[state]

	reloading sync.Mutex
	seen      [32]byte // fingerprint of what was last read; under reloading
	closing   sync.Once
}

// state is what a change of the template or of the sources replaces.
type state struct {
	template  *template
	paths     map[string]string // of the functions' programs, by logical id
	functions []*lambda
	byName    map[string]*lambda // by logical id, name and folder
	gateway   http.Handler
}

// lambda is a function of the template with what runs it.
type lambda struct {
	function
	spec *spec
}

// ErrNoHandler is in New's error where a function of the template would run in process, and Handlers has none for it.
var ErrNoHandler = errors.New("there is no handler")

// New returns an emulator. Processes start when they are needed.
func New(o Options) (*Emulator, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Gateway == "" {
		o.Gateway = HTTPAPI
	}
	if (o.Binaries != "" || o.Build) && o.Address == "" {
		return nil, errors.New("processes need the emulator's address")
	}
	e := &Emulator{options: o, backlog: backlog{none: make(chan struct{})}}
	var err error
	if o.SaveTo != "" {
		if e.record, err = newRecorder(o.SaveTo); err != nil {
			return nil, err
		}
	}
	e.host = newHost(o)
	if o.Build {
		e.builder, err = newBuilder(filepath.Dir(o.Template))
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
	t, err := e.look()
	if err != nil {
		return err
	}
	paths := e.givenBinaries(t)
	if e.builder != nil && e.options.Binaries == "" {
		if paths, err = e.builder.build(t); err != nil {
			return err
		}
	}
	return e.replace(t, paths)
}

// givenBinaries are the bootstraps in Binaries, by logical id.
func (e *Emulator) givenBinaries(t *template) map[string]string {
	paths := map[string]string{}
	for _, s := range t.functions {
		paths[s.id] = filepath.Join(e.options.Binaries, s.folder, "bootstrap")
	}
	return paths
}

// ServeHTTP implements http.Handler. It must not stand behind an http.ServeMux (see newGateway).
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})  // a poll of the Runtime API lasts as long as nothing is to do,
	_ = c.SetWriteDeadline(time.Time{}) // and an invocation for minutes
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, runtimePrefix):
		e.host.serveRuntime(w, r)
	case path == functionsPath || strings.HasPrefix(path, functionsPath+"/"):
		e.serveInvokeAPI(w, r)
	default:
		e.state.Load().gateway.ServeHTTP(w, r)
	}
}

// Functions are the logical ids of the template's functions, in order.
func (e *Emulator) Functions() []string {
	var ids []string
	for _, f := range e.state.Load().functions {
		ids = append(ids, f.spec.id)
	}
	return ids
}

// Shutdown takes no new invocation, waits for those that run until ctx ends, and closes the emulator.
func (e *Emulator) Shutdown(ctx context.Context) error {
	e.backlog.close(ctx)
	e.host.drain(ctx)
	return e.Close()
}

// Close waits for events that run, for 5 s at most, and ends every process.
func (e *Emulator) Close() error {
	var err error
	e.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), eventsPatience)
		defer cancel()
		e.backlog.close(ctx)
		e.host.close()
		if e.builder != nil {
			err = e.builder.close()
		}
	})
	return err
}

// save keeps an event that came through the Invoke API.
func (e *Emulator) save(functionName string, event []byte) {
	if e.record == nil {
		return
	}
	if _, err := e.record.save(functionName, event); err != nil {
		e.host.log.Warn("save an event", "error", err)
	}
}
