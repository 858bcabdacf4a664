package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopPatience is how long each way of stopping a server gets.
const stopPatience = 10 * time.Second

// child is a process that we started. On Linux it ends when we do.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; valid after done
}

func startChild(cmd *exec.Cmd, as account) (*child, error) {
	cmd.SysProcAttr = childAttributes()
	cmd.SysProcAttr.Credential = as.credential
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the signal of childAttributes when the thread that
		// forked ends, not the process: so this thread stays until the child
		// is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, <-started
}

func (c *child) gone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) shutdown() error {
	send := func(s syscall.Signal) error { return c.cmd.Process.Signal(s) }
	return shutdown(c.cmd.Process.Pid, send, c.gone)
}

// shutdown asks a postmaster for a fast shutdown, then for an immediate one,
// then kills it.
func shutdown(pid int, send func(syscall.Signal) error, gone func() bool) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if gone() {
			return nil
		}
		if err := send(signal); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop postgres, process %d: %w", pid, err)
		}
		for end := time.Now().Add(stopPatience); time.Now().Before(end); time.Sleep(pollInterval) {
			if gone() {
				return nil
			}
		}
	}
	return fmt.Errorf("stop postgres: process %d does not end", pid)
}
