//go:build unix

package connlimit

import "syscall"

// openFiles returns how many file descriptors the process may open, 0 if that is unknown. Go has raised the limit as far as it may.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // some systems have another type
}
