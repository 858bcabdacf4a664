package embedded

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// childAttributes gives the child its own process group, so that Ctrl-C in the
// terminal reaches us only, and has it shut down at once when we die.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// commandLine is what a running process was started with, "" where there is
// none; a zombie has none.
func commandLine(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
}
