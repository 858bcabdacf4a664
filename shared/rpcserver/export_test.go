package rpcserver

import (
	"time"
	"unsafe"
)

// Sample decides which lines are written.
type Sample struct{ s sample }

// Take reports whether a line may be written.
func (s *Sample) Take(code string, now time.Time) bool { return s.s.take(code, now) }

// LeftOut returns the lines that were left out in earlier seconds.
func (s *Sample) LeftOut(now time.Time) map[string]int { return s.s.leftOut(now) }

// LargeBodies returns the bytes that large bodies hold.
func (s *Server) LargeBodies() int { return s.large.Used() * smallBody }

// CallSize is the size in bytes of the state of a request.
const CallSize = unsafe.Sizeof(call{})

// Turns returns how many lists with all documents have a turn.
func (s *Server) Turns() int { return len(s.turns) }

// MaxUnsent is how many bytes of answers one caller may leave waiting.
const MaxUnsent = maxUnsent

// UnsentOf returns the bytes of answers that a caller has not taken.
func (s *Server) UnsentOf(principal string) int {
	s.unsent.mu.Lock()
	defer s.unsent.mu.Unlock()
	return s.unsent.bytes[principal]
}
