package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// stopPatience is how long a server may take to end after each signal.
const stopPatience = 10 * time.Second

// shutdown asks a postmaster for a fast shutdown, then for an immediate one, then kills it.
func shutdown(pid int, send func(syscall.Signal) error, gone func() bool) error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if gone() {
			return nil
		}
		if err := send(signal); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("PostgreSQL, process %d, cannot be stopped: %w", pid, err)
		}
		for end := time.Now().Add(stopPatience); time.Now().Before(end); time.Sleep(pollInterval) {
			if gone() {
				return nil
			}
		}
	}
	return fmt.Errorf("PostgreSQL, process %d, has not ended after SIGKILL: it may wait for a disk", pid)
}
