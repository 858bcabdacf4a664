package emulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

var errClosed = errors.New("the emulator is closed")

const (
	defaultMaxProcesses = 64
	defaultMaxQueue     = 1000
	defaultInitTimeout  = 10 * time.Second
)

// host is where functions run: it knows every process.
type host struct {
	address   string // of the Runtime API, host:port
	environ   []string
	region    string
	limit     int           // processes of one function
	queue     int           // invocations of one function that wait
	initLimit time.Duration // from a process's start to its first poll
	log       *slog.Logger
	watchers  *lines
	starter   *starter
	done      chan struct{} // closed when the host is

	mu        sync.Mutex
	draining  bool                // no invocation may begin
	closed    bool                // nor a process
	number    int                 // of the youngest process
	processes map[string]*process // that run, by their key
	running   sync.WaitGroup      // invocations and what they leave to do
}

func newHost(o Options) *host {
	to := o.Output
	if to == nil {
		to = io.Discard
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &host{
		address: o.Address, environ: o.Environ, region: regionOf(o.Environ), log: log, watchers: &lines{to: to},
		limit: cmp.Or(o.MaxProcesses, defaultMaxProcesses), queue: cmp.Or(o.MaxQueue, defaultMaxQueue), initLimit: cmp.Or(o.InitTimeout, defaultInitTimeout),
		starter: newStarter(), done: make(chan struct{}), processes: map[string]*process{},
	}
}

// enter lets an invocation begin; the host then waits for its leave.
func (h *host) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		h.running.Add(1)
	}
	return !h.draining
}

func (h *host) leave() { h.running.Done() }

// spawn starts a process of s.
func (h *host) spawn(s *spec, path string) (*process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	h.number++
	p := newProcess(h, s, fmt.Sprintf("%s/%d", s.id, h.number))
	capture, end, err := newCapture(s.id, h.watchers)
	if err != nil {
		return nil, err
	}
	defer end.Close()
	p.capture = capture
	p.cmd = exec.Command(path)
	p.cmd.Dir = filepath.Dir(path) // as on Lambda
	p.cmd.Env = s.environment(h, p.key, p.cmd.Dir)
	p.cmd.Stdout, p.cmd.Stderr = end, end
	p.cmd.SysProcAttr = childAttributes()
	if err := h.starter.start(p.cmd); err != nil {
		capture.close()
		return nil, err
	}
	go capture.follow()
	h.processes[p.key] = p
	go p.await()
	return p, nil
}

// process returns the one with a key, or nil.
func (h *host) process(key string) *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.processes[key]
}

func (h *host) forget(p *process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.processes, p.key)
}

// drain lets no invocation begin, and waits for those that run until ctx ends.
func (h *host) drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	none := make(chan struct{})
	go func() {
		defer close(none)
		h.running.Wait()
	}()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// close ends every process, and with them what they do.
func (h *host) close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.draining, h.closed = true, true
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
	h.starter.close()
}

// within reports whether c was closed before d had passed.
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
