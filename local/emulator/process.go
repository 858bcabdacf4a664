package emulator

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopPatience is what a process gets to end by itself, as on Lambda.
const stopPatience = 500 * time.Millisecond

// process is a running bootstrap. It has one invocation at a time.
type process struct {
	key     string // in the URL of its Runtime API
	host    *host
	spec    *spec
	cmd     *exec.Cmd
	capture *capture
	polled  chan struct{} // gets one at each poll
	work    chan *work
	gone    chan struct{} // closed when the process has ended

	mu       sync.Mutex
	current  *work  // given, and not answered
	answered string // the last request id that was
	refusal  []byte // what it posted as its error of initialization
	how      error  // it ended; valid after gone
}

// work is an invocation that a process has in hand.
type work struct {
	invocation
	arn      string
	deadline time.Time
	result   chan outcome // has room for the one that there is
}

func newProcess(h *host, s *spec, key string) *process {
	return &process{
		key: key, host: h, spec: s,
		polled: make(chan struct{}, 1), work: make(chan *work, 1), gone: make(chan struct{}),
	}
}

// await stays until the process has ended, and ends what it has left behind.
func (p *process) await() {
	how := p.cmd.Wait()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // mostly there is nothing
	p.capture.close()
	p.host.forget(p)
	p.mu.Lock()
	p.how = how
	p.mu.Unlock()
	close(p.gone)
	p.host.log.Debug("process ended", "function", p.spec.id, "pid", p.cmd.Process.Pid, "how", p.cmd.ProcessState.String())
}

// ready waits until the process asks for work, and returns false with why it will not.
func (p *process) ready(requestID string) (outcome, bool) {
	timer := time.NewTimer(p.host.initLimit)
	defer timer.Stop()
	select {
	case <-p.polled:
		return outcome{}, true
	case <-p.gone:
		return p.exited(requestID), false
	case <-timer.C:
		p.kill()
		<-p.gone
		return timedOut(requestID, p.host.initLimit), false
	}
}

// run gives w to a process that is ready, and returns how that ended.
func (p *process) run(w *work) outcome {
	p.mu.Lock()
	p.current = w
	select {
	case <-p.polled: // it polled twice; the next poll is after this invocation
	default:
	}
	p.mu.Unlock()
	p.work <- w
	timer := time.NewTimer(time.Until(w.deadline))
	defer timer.Stop()
	select {
	case o := <-w.result:
		return o
	case <-p.gone:
	case <-timer.C:
		p.kill()
		<-p.gone
		return timedOut(w.requestID, p.spec.timeout)
	}
	select {
	case o := <-w.result: // a panic: it reports the error, and ends
		return o
	default:
		return p.exited(w.requestID)
	}
}

// exited describes the end of the process in the words of Lambda.
func (p *process) exited(requestID string) outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil {
		return outcome{payload: p.refusal, failed: true}
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.how); ok {
		return failed(requestID, "Runtime.ExitError", "Runtime exited with error: %s", exit)
	}
	return failed(requestID, "Runtime.ExitError", "Runtime exited without providing a reason")
}

var (
	errAnswered = errors.New("the invocation has its answer")
	errNotGiven = errors.New("the process never got the invocation")
)

// claim returns the invocation with an id if the process has it and has not answered. Only one caller gets it.
func (p *process) claim(requestID string) (*work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.current != nil && p.current.requestID == requestID:
		w := p.current
		p.current, p.answered = nil, requestID
		return w, nil
	case requestID == p.answered:
		return nil, errAnswered
	}
	return nil, errNotGiven
}

// idle says that the process polls; it may not while it has work.
func (p *process) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return false
	}
	select {
	case p.polled <- struct{}{}:
	default: // it polls again, for it lost its connection
	}
	return true
}

func (p *process) isGone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal reaches the process and what it has started.
func (p *process) signal(s syscall.Signal) {
	if p.isGone() {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may end at this moment
}

// stop returns when the process has ended.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	if !within(stopPatience, p.gone) {
		p.kill()
		<-p.gone
	}
}

// memory is the most that the process has held so far, in MB.
func (p *process) memory() int {
	if !p.isGone() {
		return peakMemory(p.cmd.Process.Pid)
	}
	return peakMemoryOf(p.cmd.ProcessState)
}
