package emulator

import (
	"os/exec"
	"runtime"
)

// starter starts all children from one thread: on Linux a child dies with the thread that started it, so that thread must
// live as long as the emulator does, and no longer.
type starter struct {
	work chan func()
}

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	started := make(chan error)
	s.work <- func() { started <- cmd.Start() }
	return <-started
}

// close ends the thread. No child may be left, and none may be started.
func (s *starter) close() { close(s.work) }
