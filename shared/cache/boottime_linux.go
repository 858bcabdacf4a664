package cache

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is a clock that never goes back and counts while the machine is suspended. Go's monotonic clock does not.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has had this clock since 2.6.39
	}
	return time.Duration(t.Nano())
}
