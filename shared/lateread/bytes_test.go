package lateread_test

import "syscall"

// hasBytes reports whether a socket has bytes to read.
func hasBytes(fd uintptr) bool {
	n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == nil && n > 0
}
