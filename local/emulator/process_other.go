//go:build !linux

package emulator

import (
	"os"
	"syscall"
)

// childAttributes gives the child its own process group, so that what it starts can be ended with it and Ctrl-C reaches
// the emulator only. Nothing ends the child when the emulator is killed; it ends by itself when its next poll of the
// Runtime API fails.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func peakMemory(int) int { return 0 }

func peakMemoryOf(*os.ProcessState) int { return 0 }
