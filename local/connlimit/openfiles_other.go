//go:build !unix

package connlimit

// openFiles returns how many file descriptors the process may open, 0 if that is unknown.
func openFiles() uint64 { return 0 }
