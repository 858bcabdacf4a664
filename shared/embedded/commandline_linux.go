package embedded

import (
	"bytes"
	"fmt"
	"os"
)

// commandLine returns the command line of a running process, or "". A zombie has none.
func commandLine(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
}
