package limiter_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/limiter"
)

func TestCapacityFollowsTheCPU(t *testing.T) {
	t.Parallel()
	var waits, long uint64
	c := limiter.NewCapacity(512, 32, func() (uint64, uint64) { return waits, long })
	now := time.Now()
	adapt := func(moreWaits, moreLong uint64, used, want int) {
		t.Helper()
		waits, long, now = waits+moreWaits, long+moreLong, now.Add(100*time.Millisecond)
		if got := c.Adapt(now, used); got != want {
			t.Errorf("%d of %d waits are long: %d slots, want %d", moreLong, moreWaits, got, want)
		}
	}
	adapt(1000, 100, 64, 128)  // half of the slots are enough
	adapt(1000, 100, 100, 160) // one in ten may be long
	adapt(10, 10, 100, 160)    // too few to judge
	adapt(1000, 900, 2, 160)   // with so few in use the number does not matter
	if at := c.Starved(); !at.IsZero() {
		t.Errorf("the process was starved at %v", at)
	}
	adapt(1000, 101, 100, 32)
	adapt(1000, 900, 100, 32)
	starved := now
	adapt(1000, 0, 100, 40)
	adapt(1000, 0, 100, 50)
	for range 20 {
		waits, now = waits+1000, now.Add(100*time.Millisecond)
		c.Adapt(now, 500)
	}
	adapt(1000, 0, 500, 512)
	if at := c.Starved(); !at.Equal(starved) {
		t.Errorf("the process was last starved at %v, want %v", at, starved)
	}
}

// TestRuntimeReportsWaits checks that the Go runtime has the histogram, and that goroutines that wait for a CPU are in it.
func TestRuntimeReportsWaits(t *testing.T) {
	t.Parallel()
	before, _ := limiter.ReadLatencies()
	var all sync.WaitGroup
	for range 10_000 {
		all.Go(runtime.Gosched)
	}
	all.Wait()
	if after, _ := limiter.ReadLatencies(); after <= before {
		t.Errorf("%d goroutines have waited for a CPU, and %d before", after, before)
	}
}

// TestStarvedWait checks that the time in which this process did not run does not count, up to Latest.
func TestStarvedWait(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for what, test := range map[string]struct{ late, left, want time.Duration }{
		"in time":           {time.Millisecond, time.Second, 0},
		"late":              {90 * time.Millisecond, time.Second, 90 * time.Millisecond},
		"late, little left": {90 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		if got := (limiter.Want{Until: now.Add(-test.late), Latest: now.Add(test.left)}).Extend(now); got != test.want {
			t.Errorf("%s: waits %v more, want %v", what, got, test.want)
		}
	}
}
