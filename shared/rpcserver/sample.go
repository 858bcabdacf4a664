package rpcserver

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxLines and maxAllLines bound the lines that are written in a second for requests with an error: of one code, and of all. A caller
	// can provoke errors at any rate. A line has about 250 bytes, so they are at most about 25 kB/s.
	maxLines    = 50
	maxAllLines = 100
)

// sample decides which lines of failed requests are written, and counts the others. It needs no goroutine: the numbers of a second are
// logged with the next request after it.
type sample struct {
	off     bool        // every line is written
	hasLeft atomic.Bool // some lines were left out

	mu            sync.Mutex
	second        int64
	all           int
	written, left map[string]int // by code
}

// LogAll makes the log have a line for each request, however many fail. It is for tests, and must be called before the first request.
func (s *Server) LogAll() { s.log.sample.off = true }

// take reports whether a line with that code may be written.
func (s *sample) take(code string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.all, s.written = second, 0, map[string]int{}
	}
	if !s.off && (s.written[code] >= maxLines || s.all >= maxAllLines) {
		if s.left == nil {
			s.left = map[string]int{}
		}
		s.left[code]++
		s.hasLeft.Store(true)
		return false
	}
	s.written[code]++
	s.all++
	return true
}

// leftOut returns how many lines were left out in earlier seconds, by code, once.
func (s *sample) leftOut(now time.Time) map[string]int {
	if !s.hasLeft.Load() {
		return nil // the usual case
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.second == now.Unix() {
		return nil
	}
	left := s.left
	s.left = nil
	s.hasLeft.Store(false)
	return left
}

// logLeftOut logs the number of lines that were left out.
func (l *requestLog) logLeftOut(now time.Time) {
	left := l.sample.leftOut(now)
	if len(left) == 0 {
		return
	}
	for _, code := range slices.Sorted(maps.Keys(left)) {
		slog.New(l.log).Warn("too many requests with an error: their lines were left out", "code", code, "count", left[code])
	}
}
