package connlimit

import "net"

// NewWith is New with other limits.
func NewWith(l net.Listener, limit, perAddress int) *Listener {
	return newListener(l, limit, perAddress)
}

// MaxFor returns the number of connections for a number of file descriptors.
func MaxFor(files uint64) int { return maxFor(files) }
