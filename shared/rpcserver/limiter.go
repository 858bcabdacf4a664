package rpcserver

import "sync/atomic"

const (
	// MaxRequests is the number of requests that a program serves at once. It refuses the rest: they would only wait for each
	// other, longer than their callers wait for them.
	MaxRequests = 512
	// MaxBytes is the total size of the bodies of these requests in bytes. A body takes several times its size while it is
	// parsed. A body of unknown length counts as MaxBody.
	MaxBytes = 32 << 20
	// reserve is the share of both limits that is kept for urgent requests: one in 8.
	reserve = 8
)

// limiter counts the requests being served, and their bytes.
type limiter struct{ requests, bytes atomic.Int64 }

// InFlight returns the number of requests being served.
func (s *Server) InFlight() int { return int(s.limiter.requests.Load()) }

// enter reports whether a request with a body of that size is admitted. If so, the caller calls leave at its end.
func (l *limiter) enter(size int64, urgent func() bool) bool {
	requests, bytes := l.requests.Add(1), l.bytes.Add(size)
	if requests <= MaxRequests-MaxRequests/reserve && bytes <= MaxBytes-MaxBytes/reserve {
		return true
	}
	if requests <= MaxRequests && bytes <= MaxBytes && urgent() {
		return true
	}
	l.leave(size)
	return false
}

// grow adds bytes to an admitted request whose body is larger than it was counted. The bytes are in memory already, so
// refusing the request would free nothing; new requests are refused instead.
func (l *limiter) grow(by int64) { l.bytes.Add(by) }

func (l *limiter) leave(size int64) {
	l.requests.Add(-1)
	l.bytes.Add(-size)
}
