//go:build !linux

package cache

import "time"

var processStart = time.Now()

// sinceBoot is Go's monotonic clock. On some systems it does not count while the machine is suspended; the wall clock does.
func sinceBoot() time.Duration { return time.Since(processStart) }
