//go:build !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
)

// commandLine is the command line of a running process, "" if there is none.
func commandLine(pid int) string {
	text, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
