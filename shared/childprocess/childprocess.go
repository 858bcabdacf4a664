// Package childprocess starts programs that end with this program. On Linux the kernel ends them, also if this program is
// killed. Elsewhere a child outlives a killed parent.
package childprocess

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a running or ended child. Its methods may be called concurrently.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; valid after done
}

// Attach puts the process that cmd will start in its own process group, so that Ctrl-C reaches only this program. On Linux
// the process gets the signal atParentDeath when the thread that starts it ends. Other attributes of cmd stay. Prefer Start,
// which keeps that thread alive; Attach is for callers that need cmd itself and start it on a thread that stays.
func Attach(cmd *exec.Cmd, atParentDeath syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	setParentDeathSignal(cmd.SysProcAttr, atParentDeath)
}

// Start attaches cmd (see Attach) and starts it. The caller must not call cmd.Wait.
func Start(cmd *exec.Cmd, atParentDeath syscall.Signal) (*Process, error) {
	Attach(cmd, atParentDeath)
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel signals the child when the thread that forked it ends, not when the process does. So this goroutine
		// keeps its thread until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, <-started
}

// PID is the id of the process and of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended and its output has been copied.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Wait waits for the end of the process and returns what exec.Cmd.Wait returned. It may be called many times.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// State describes the ended process; nil before its end.
func (p *Process) State() *os.ProcessState {
	if !p.Exited() {
		return nil
	}
	return p.cmd.ProcessState
}

// Signal sends s to the process, not to its group. The error is os.ErrProcessDone if it has ended.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill kills the process and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if it has ended
	<-p.done
}

// Stop sends SIGTERM and waits for the end of the process; after the time given it kills the process and returns an error.
// Otherwise it returns how the process ended, as Wait does.
func (p *Process) Stop(patience time.Duration) error {
	_ = p.Signal(syscall.SIGTERM) // fails only if it has ended
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("process %d was killed: it did not end within %v of SIGTERM", p.PID(), patience)
	}
}
