package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process that we started and that ends when we do. Its methods may be called concurrently.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, after done
}

// spawn starts cmd. The kernel ties a child to the thread that started it, so that one waits for the child's end.
func spawn(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = dieWithParent()
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
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

// kill ends it as a crash would, and returns when it is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails where it has ended
	<-c.done
}

// stop asks it to end, and kills it after the time given.
func (c *child) stop(patience time.Duration) error {
	if c.gone() {
		return c.err
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails where it has ended
	select {
	case <-c.done:
		return c.err
	case <-time.After(patience):
		c.kill()
		return fmt.Errorf("process %d did not end within %v", c.cmd.Process.Pid, patience)
	}
}
