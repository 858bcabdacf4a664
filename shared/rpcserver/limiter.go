package rpcserver

import "sync/atomic"

const (
	// MaxRequests is how many requests a program serves at once. The rest is refused: they would only wait for each other,
	// for longer than their callers do.
	MaxRequests = 512
	// MaxBytes is how many bytes the bodies of these requests may have together. A body takes several times its size while
	// it is parsed. One of unknown length counts as MaxBody.
	MaxBytes = 32 << 20
	// reserve is the part of both, one in so many, that is left to urgent requests.
	reserve = 8
)

// admission counts what is being served.
type admission struct{ requests, bytes atomic.Int64 }

// InFlight is how many requests are being served.
func (s *Server) InFlight() int { return int(s.admission.requests.Load()) }

// enter admits a request with a body of that size; leave must follow.
func (a *admission) enter(size int64, urgent func() bool) bool {
	requests, bytes := a.requests.Add(1), a.bytes.Add(size)
	if requests <= MaxRequests-MaxRequests/reserve && bytes <= MaxBytes-MaxBytes/reserve {
		return true
	}
	if requests <= MaxRequests && bytes <= MaxBytes && urgent() {
		return true
	}
	a.leave(size)
	return false
}

// grow is for a request whose body turned out to be larger. It is there now: refusing it would free no memory, but newcomers
// are refused.
func (a *admission) grow(by int64) { a.bytes.Add(by) }

func (a *admission) leave(size int64) {
	a.requests.Add(-1)
	a.bytes.Add(-size)
}
