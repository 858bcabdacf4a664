package emulator

import (
	"context"
	"sync"
	"time"
)

// settlePatience is how long an answer waits for its process to ask for more. Mostly that comes at once; so one caller
// with one request after the other meets one process, and a log holds the last words of a process that ends.
const settlePatience = 100 * time.Millisecond

// pool runs a function in processes, as many as it is asked to do things at once.
type pool struct {
	host   *host
	spec   *spec
	path   string        // of the bootstrap
	slots  chan struct{} // one for each invocation under way
	queued chan struct{} // one for each impatient one that waits for a slot

	mu      sync.Mutex
	free    []*process // that wait for work
	retired bool
}

func newPool(h *host, s *spec, path string) *pool {
	limit := h.limit
	if s.reserved > 0 {
		limit = min(limit, s.reserved)
	}
	return &pool{host: h, spec: s, path: path, slots: make(chan struct{}, limit), queued: make(chan struct{}, h.queue)}
}

// invoke implements function. A caller who leaves does not stop it, as on Lambda.
func (p *pool) invoke(ctx context.Context, in invocation) outcome {
	if in.requestID == "" {
		in.requestID = newID()
	}
	if !p.host.enter() {
		return failed(in.requestID, "Sandbox.Failure", "%v", errClosed)
	}
	defer p.host.leave()
	if !p.admit(ctx, in.patient) {
		return throttled()
	}
	r := report{requestID: in.requestID, function: p.spec}
	began := time.Now()
	c, fresh := p.take(), false
	if c == nil {
		var err error
		if c, err = p.host.spawn(p.spec, p.path); err != nil {
			<-p.slots
			return p.unstartable(r, err)
		}
		fresh = true
	}
	return p.use(c, fresh, began, in, r)
}

// unstartable is the outcome where there is no program to run.
func (p *pool) unstartable(r report, err error) outcome {
	p.host.log.Error("start a function", "function", p.spec.id, "error", err)
	o := failed(r.requestID, "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [%s]", p.path)
	r.finish(&o, nil, p.host.watchers)
	return o
}

// use runs one invocation on c.
func (p *pool) use(c *process, fresh bool, began time.Time, in invocation, r report) (o outcome) {
	ok := true
	if fresh {
		if o, ok = c.ready(in.requestID); ok {
			r.init = time.Since(began)
		}
	}
	if ok {
		if !fresh {
			c.capture.begin()
		}
		began = time.Now()
		w := &work{invocation: in, arn: p.spec.arn, deadline: began.Add(p.spec.timeout), result: make(chan outcome, 1)}
		o = c.run(w)
	}
	if !o.timedOut {
		o.duration = time.Since(began)
	}
	r.memory = c.memory()
	p.settle(c, began.Add(p.spec.timeout))
	r.finish(&o, c.capture.end(), p.host.watchers)
	return o
}

// admit waits for a slot, and gives up at once where too many wait already.
func (p *pool) admit(ctx context.Context, patient bool) bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
	}
	if !patient {
		select {
		case p.queued <- struct{}{}:
			defer func() { <-p.queued }()
		default:
			return false
		}
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.host.done:
	case <-ctx.Done():
	}
	return false
}

// take returns the process that waits the shortest, or nil.
func (p *pool) take() *process {
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

// settle gives c back once it asks for more work, and its slot with it. That may last longer than this call.
func (p *pool) settle(c *process, deadline time.Time) {
	done := make(chan struct{})
	p.host.running.Add(1) // the invocation is one already, so nobody has ended the wait
	go func() {
		defer p.host.running.Done()
		defer func() { <-p.slots }()
		defer close(done)
		p.giveBack(c, deadline)
	}()
	within(settlePatience, done)
}

func (p *pool) giveBack(c *process, deadline time.Time) {
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

// retire stops the processes that wait now, and the others when they have finished.
func (p *pool) retire() {
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
