// Package runtime runs Lambda functions on this machine: real bootstrap processes, which it serves the Runtime API, or handlers
// in this process. It starts as many processes as there are invocations at once, watches their timeouts, keeps their output,
// and builds the programs from the sources.
//
// Differences from Lambda: an invocation waits for a process, until Config.MaxQueue invocations do; only then is it throttled.
// Processes are not frozen between invocations, and their CPU and memory are not limited.
package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/childprocess"
)

var errClosed = errors.New("the emulator is closed")

const (
	defaultMaxProcesses = 64
	defaultMaxQueue     = 1000
	defaultInitTimeout  = 10 * time.Second
	// defaultSettle: mostly the process polls at once. So a caller that sends one request after the other meets one process,
	// and the log has the last words of a process that ends.
	defaultSettle = 100 * time.Millisecond
)

// Config describes a Host.
type Config struct {
	Address      string        // host:port where processes reach the Runtime API
	Environ      []string      // see template.Function.Environ
	MaxProcesses int           // of each function; ReservedConcurrentExecutions may be less; 0: 64
	MaxQueue     int           // invocations of one function that wait for a process; more are throttled; 0: 1000
	InitTimeout  time.Duration // from a process's start to its first poll; 0: 10 s
	Settle       time.Duration // how long a result waits until its process polls again; 0: 100 ms
	Log          *slog.Logger  // nil: none
	Output       io.Writer     // gets the lines that functions write; nil: none
	// Line gets the same lines with the function's logical id instead of a prefix. It must not keep line. nil: none.
	Line func(function string, line []byte)
}

// Host runs functions. It knows every process.
type Host struct {
	config Config
	log    *slog.Logger
	output *lines
	done   chan struct{} // closed when the host is

	mu        sync.Mutex
	stopping  bool                // no invocation may begin
	closed    bool                // no process may start
	number    int                 // of the youngest process
	processes map[string]*process // running ones, by key
	running   sync.WaitGroup      // invocations and their aftermath
}

// NewHost returns a host, which must be closed.
func NewHost(c Config) *Host {
	c.MaxProcesses = cmp.Or(c.MaxProcesses, defaultMaxProcesses)
	c.MaxQueue = cmp.Or(c.MaxQueue, defaultMaxQueue)
	c.InitTimeout = cmp.Or(c.InitTimeout, defaultInitTimeout)
	c.Settle = cmp.Or(c.Settle, defaultSettle)
	h := &Host{config: c, log: c.Log, output: &lines{to: io.Discard, each: c.Line}, done: make(chan struct{}), processes: map[string]*process{}}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if c.Output != nil {
		h.output.to = c.Output
	}
	return h
}

// enter lets an invocation begin; the host then waits for its leave.
func (h *Host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopping {
		h.running.Add(1)
	}
	return !h.stopping
}

func (h *Host) leave() { h.running.Done() }

// spawn starts a process of f.
func (h *Host) spawn(f *template.Function, path string) (*process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	h.number++
	p := newProcess(h, f, fmt.Sprintf("%s/%d", f.ID, h.number))
	capture, end, err := newCapture(f.ID, h.output)
	if err != nil {
		return nil, err
	}
	defer func() { _ = end.Close() }() // the process has its own copy
	p.capture = capture
	cmd := exec.Command(path)
	cmd.Dir = filepath.Dir(path) // as on Lambda
	cmd.Env = f.Environ(h.config.Environ, template.Process{
		RuntimeAPI: h.config.Address + Prefix + p.key, LogStream: strings.ReplaceAll(p.key, "/", "-"), Dir: cmd.Dir,
	})
	cmd.Stdout, cmd.Stderr = end, end
	if p.child, err = childprocess.Start(cmd, syscall.SIGKILL); err != nil {
		capture.close()
		return nil, err
	}
	go capture.follow()
	h.processes[p.key] = p
	go p.await()
	return p, nil
}

// process returns the running process with a key, or nil.
func (h *Host) process(key string) *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.processes[key]
}

func (h *Host) forget(p *process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.processes, p.key)
}

// Shutdown refuses new invocations and waits for the running ones until ctx ends. Close must follow.
func (h *Host) Shutdown(ctx context.Context) {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		h.running.Wait()
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	}
}

// Close ends every process, which fails the invocation that it runs.
func (h *Host) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.stopping, h.closed = true, true
	var all []*process
	for _, p := range h.processes {
		all = append(all, p)
	}
	h.mu.Unlock()
	close(h.done)
	var stopped sync.WaitGroup
	for _, p := range all {
		stopped.Go(p.stop)
	}
	stopped.Wait()
	h.running.Wait()
}

// within reports whether c was closed within d.
func within(d time.Duration, c <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}
