package cache

import (
	"strconv"
	"sync/atomic"
	"time"
)

// sharedAfter is how much later than this process's first sync another database must sync to be one that shares this Redis.
// Before that it may be the same database before a restart or a failover.
const sharedAfter = 5 * time.Second

// shared finds out whether another database uses the same Redis.
type shared struct {
	report   func()
	first    atomic.Pointer[firstSync]
	reported atomic.Bool
}

// firstSync is when this process first synced a database, by the clock of Redis.
type firstSync struct {
	tag string
	ms  int64
}

// found takes the reply of a sync: for each database its tag and its last sync.
func (s *shared) found(tag, t string, databases []string) {
	if s.report == nil || s.reported.Load() {
		return
	}
	first := s.first.Load()
	if first == nil || first.tag != tag {
		ms, _ := strconv.ParseInt(t, 10, 64)
		s.first.Store(&firstSync{tag, ms})
		return
	}
	for i := 0; i+1 < len(databases); i += 2 {
		ms, err := strconv.ParseInt(databases[i+1], 10, 64)
		if databases[i] != tag && err == nil && ms > first.ms+sharedAfter.Milliseconds() && s.reported.CompareAndSwap(false, true) {
			s.report()
		}
	}
}
