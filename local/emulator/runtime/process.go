package runtime

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/childprocess"
)

// stopPatience is how long a process may take to end after SIGTERM, as on Lambda.
const stopPatience = 500 * time.Millisecond

// process is a running bootstrap. It has one invocation at a time.
type process struct {
	key      string // in the URL of its Runtime API
	host     *Host
	function *template.Function
	child    *childprocess.Process
	capture  *capture
	polled   chan struct{} // gets one at each poll
	work     chan *work
	gone     chan struct{} // closed when the process has ended and its output is complete

	mu        sync.Mutex
	phase     phase
	current   *work  // given, and not answered
	answered  string // the last request id that was
	initError []byte // what it posted as its error of initialization
}

// work is an invocation that a process executes.
type work struct {
	Invocation
	arn      string
	deadline time.Time
	result   chan Result // with room for the only one
}

func newProcess(h *Host, f *template.Function, key string) *process {
	return &process{
		key: key, host: h, function: f,
		polled: make(chan struct{}, 1), work: make(chan *work, 1), gone: make(chan struct{}),
	}
}

// await waits for the end of the process and then kills what it has started.
func (p *process) await() {
	<-p.child.Done()
	_ = syscall.Kill(-p.child.PID(), syscall.SIGKILL) // mostly there is nothing
	p.capture.close()
	p.host.forget(p)
	close(p.gone)
	p.host.log.Debug("process ended", "function", p.function.ID, "pid", p.child.PID(), "how", p.child.State().String())
}

// ready waits until the process polls. It returns false and the result of the invocation if the process ends or takes too long.
func (p *process) ready(requestID string) (Result, bool) {
	timer := time.NewTimer(p.host.config.InitTimeout)
	defer timer.Stop()
	select {
	case <-p.polled:
		return Result{}, true
	case <-p.gone:
		return p.exited(requestID), false
	case <-timer.C:
		p.kill()
		<-p.gone
		return timedOut(requestID, p.host.config.InitTimeout), false
	}
}

// run gives w to a process that is ready, and returns the result.
func (p *process) run(w *work) Result {
	p.mu.Lock()
	p.phase, p.current = phaseBusy, w
	select {
	case <-p.polled: // it polled twice; the next poll is after this invocation
	default:
	}
	p.mu.Unlock()
	p.work <- w
	timer := time.NewTimer(time.Until(w.deadline))
	defer timer.Stop()
	select {
	case result := <-w.result:
		return result
	case <-p.gone:
	case <-timer.C:
		p.kill()
		<-p.gone
		return timedOut(w.RequestID, p.function.Timeout)
	}
	select {
	case result := <-w.result: // a panic: the process reports the error, then ends
		return result
	default:
		return p.exited(w.RequestID)
	}
}

// exited returns the result for a process that ended, with Lambda's texts.
func (p *process) exited(requestID string) Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.initError != nil {
		return Result{Payload: p.initError, Failed: true}
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.child.Wait()); ok {
		return failed(requestID, "Runtime.ExitError", "Runtime exited with error: %s", exit)
	}
	return failed(requestID, "Runtime.ExitError", "Runtime exited without providing a reason")
}

var (
	errAnswered = errors.New("the invocation already has its response")
	errNotGiven = errors.New("the process did not get the invocation")
)

// claim returns the invocation with an id if the process has it and has not answered. Only one caller gets it.
func (p *process) claim(requestID string) (*work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.current != nil && p.current.RequestID == requestID:
		w := p.current
		p.current, p.answered = nil, requestID
		return w, nil
	case requestID == p.answered:
		return nil, errAnswered
	}
	return nil, errNotGiven
}

// idle notes that the process polls. It returns false if the process still has work.
func (p *process) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return false
	}
	p.phase = phaseIdle
	select {
	case p.polled <- struct{}{}:
	default: // it polls again because it lost its connection
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
	_ = syscall.Kill(-p.child.PID(), s) // fails if it ends at this moment
}

// stop returns when the process has ended.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	if !within(stopPatience, p.gone) {
		p.kill()
		<-p.gone
	}
}

// memory returns the process's peak memory so far in MB.
func (p *process) memory() int {
	if state := p.child.State(); state != nil {
		return peakMemoryOf(state)
	}
	return peakMemory(p.child.PID())
}
