package runtime

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// Pool runs a function in processes, one for each concurrent invocation.
type Pool struct {
	host     *Host
	function *template.Function
	path     string        // of the program
	slots    chan struct{} // holds one for each running invocation
	queue    chan struct{} // holds one for each synchronous invocation that waits for a slot
	waiting  atomic.Int32  // invocations that wait for a slot, asynchronous ones included

	mu      sync.Mutex
	free    []*process // that wait for work
	retired bool
}

// Processes returns a pool that runs f by the program at path. It fails if this machine cannot run the program.
func (h *Host) Processes(f *template.Function, path string) (*Pool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := checkMachine(path, runtime.GOOS, runtime.GOARCH); err != nil {
		return nil, fmt.Errorf("the program of %s cannot be used: %w", f.ID, err)
	}
	limit := h.config.MaxProcesses
	if f.Reserved > 0 {
		limit = min(limit, f.Reserved)
	}
	return &Pool{
		host: h, function: f, path: path,
		slots: make(chan struct{}, limit), queue: make(chan struct{}, h.config.MaxQueue),
	}, nil
}

// Serves reports whether p runs f by the program at path, so that there is no need for another pool.
func (p *Pool) Serves(f *template.Function, path string) bool {
	path, err := filepath.Abs(path)
	return err == nil && p.path == path && f.Same(p.function)
}

// Invoke implements Function.
func (p *Pool) Invoke(ctx context.Context, in Invocation) Result {
	if in.RequestID == "" {
		in.RequestID = NewID()
	}
	if !p.host.enter() {
		return failed(in.RequestID, "Sandbox.Failure", "%v", errClosed)
	}
	defer p.host.leave()
	if !p.admit(ctx, in.Async) {
		return throttled()
	}
	r := report{requestID: in.RequestID, function: p.function}
	began := time.Now()
	c, fresh := p.take(), false
	if c == nil {
		var err error
		if c, err = p.host.spawn(p.function, p.path); err != nil {
			<-p.slots
			return p.notStarted(r, err)
		}
		fresh = true
	}
	return p.use(c, fresh, began, in, r)
}

// notStarted returns the result if the program could not be started.
func (p *Pool) notStarted(r report, err error) Result {
	p.host.log.Error("start a function", "function", p.function.ID, "error", err)
	result := failed(r.requestID, "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [%s]", p.path)
	result.Init = true
	r.finish(&result, nil, p.host.output)
	return result
}

// use runs one invocation on c.
func (p *Pool) use(c *process, fresh bool, began time.Time, in Invocation, r report) (result Result) {
	ok := true
	if fresh {
		if result, ok = c.ready(in.RequestID); ok {
			r.init = time.Since(began)
		}
		result.Init = !ok
	}
	if ok {
		if !fresh {
			c.capture.begin()
		}
		began = time.Now()
		w := &work{Invocation: in, arn: p.function.ARN, deadline: began.Add(p.function.Timeout), result: make(chan Result, 1)}
		result = c.run(w)
	}
	if !result.TimedOut {
		result.Duration = time.Since(began)
	}
	r.memory = c.memory()
	p.settle(c, began.Add(p.function.Timeout))
	r.finish(&result, c.capture.end(), p.host.output)
	return result
}

// admit waits for a slot. It gives up at once if the queue is full, which does not concern asynchronous invocations.
func (p *Pool) admit(ctx context.Context, async bool) bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
	}
	if !async {
		select {
		case p.queue <- struct{}{}:
			defer func() { <-p.queue }()
		default:
			return false
		}
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.host.done:
	case <-ctx.Done():
	}
	return false
}

// take returns the process that became free last, or nil.
func (p *Pool) take() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.free); n > 0; n = len(p.free) {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		if !c.isGone() {
			return c
		}
	}
	return nil
}

// settle returns c to the pool once it polls, and then frees its slot. Both may happen after settle has returned.
func (p *Pool) settle(c *process, deadline time.Time) {
	done := make(chan struct{})
	p.host.running.Add(1) // safe: the invocation still counts, so the host still waits
	go func() {
		defer p.host.running.Done()
		defer func() { <-p.slots }()
		defer close(done)
		p.giveBack(c, deadline)
	}()
	within(p.host.config.Settle, done)
}

func (p *Pool) giveBack(c *process, deadline time.Time) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c.gone:
		return
	case <-timer.C:
		c.kill()
		<-c.gone
		return
	case <-c.polled:
	}
	p.mu.Lock()
	if !p.retired {
		p.free = append(p.free, c)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.stop()
}

// Retire stops the free processes now, and each of the others after its invocation.
func (p *Pool) Retire() {
	p.mu.Lock()
	free := p.free
	p.free, p.retired = nil, true
	p.mu.Unlock()
	for _, c := range free {
		if p.host.enter() {
			go func() {
				defer p.host.leave()
				c.stop()
			}()
		}
	}
}
