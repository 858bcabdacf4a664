package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidFile is what a server writes about itself into its data directory.
type pidFile struct {
	pid   int
	ready bool
}

func pidFilePath(data string) string { return filepath.Join(data, "postmaster.pid") }

// readPIDFile reads the lines that pg_ctl reads too: the first and the eighth.
func readPIDFile(data string) (pidFile, error) {
	text, err := os.ReadFile(pidFilePath(data))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	ready := len(lines) >= 8 && strings.TrimSpace(lines[7]) == "ready"
	return pidFile{pid: pid, ready: ready}, err
}

// stopLeftover stops the server that a killed process of this program left on
// data. The caller holds the directory's lock, so no such process uses it now.
func stopLeftover(data string) error {
	file, err := readPIDFile(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", pidFilePath(data), err)
	}
	if errors.Is(syscall.Kill(file.pid, 0), syscall.ESRCH) {
		return nil // the next server recovers from the crash
	}
	line := commandLine(file.pid)
	switch {
	case serves(line, data):
		send := func(s syscall.Signal) error { return syscall.Kill(file.pid, s) }
		gone := func() bool { return !serves(commandLine(file.pid), data) }
		return shutdown(file.pid, send, gone)
	case strings.Contains(line, "postgres"):
		return fmt.Errorf("%s names process %d, which may be a PostgreSQL that another program has started on this data: stop that process, or remove the file if the process is another server",
			pidFilePath(data), file.pid)
	default:
		// Another process has the number now, for example after a reboot. The server would wait for that process.
		return os.Remove(pidFilePath(data))
	}
}

func serves(commandLine, data string) bool {
	program, _, found := strings.Cut(commandLine+" ", " -D "+data+" ")
	return found && filepath.Base(program) == "postgres"
}
