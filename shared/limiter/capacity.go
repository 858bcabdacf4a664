package limiter

import (
	"runtime/metrics"
	"time"
)

const (
	// adaptEvery is how often the number of slots changes.
	adaptEvery = 50 * time.Millisecond
	// If more than one in maxShare goroutines waits longer than maxWait for a CPU, there are too many of them.
	maxWait  = 5e-3 // seconds
	maxShare = 10
	// minEvents is how many goroutines must have waited for a judgement.
	minEvents = 100

	// firstShare is the share of the slots at the start: a program that starts with little CPU must not let everything in first.
	firstShare = 4

	schedulingLatency = "/sched/latencies:seconds"
)

// capacity is the number of slots. It follows how long goroutines wait for a CPU, which the Go runtime measures: if they wait too
// long, it falls to the least. Otherwise it grows by a quarter every 50 ms, if more than half of the slots are used.
//
// A goroutine's work is split into parts, each of which waits for a CPU. So with too many requests inside, each takes as long as
// all of them, and its time limits run out. With few inside, the CPU is as busy, and each is fast.
//
// The CPU may be scarce because of this process, of others, or of a quota. While requests wait for the database, the CPU is free, and
// the number stays high.
type capacity struct {
	slots, most, least int
	next               time.Time
	starved            time.Time                   // when goroutines last waited too long
	read               func() (waits, long uint64) // since the process started
	waits, long        uint64
}

func newCapacity(most, least int) capacity {
	c := capacity{slots: most, most: most, least: least}
	if least > 0 {
		c.slots = max(most/firstShare, least)
		c.read = newLatencies().read
	}
	return c
}

// adapt is called with the number of used slots. With few it does nothing: the number of slots does not matter.
func (c *capacity) adapt(now time.Time, used int) {
	if c.read == nil || used < c.least/2 || now.Before(c.next) {
		return
	}
	c.next = now.Add(adaptEvery)
	waits, long := c.read()
	newWaits, newLong := waits-c.waits, long-c.long
	if newWaits < minEvents {
		return
	}
	c.waits, c.long = waits, long
	if newLong*maxShare > newWaits {
		c.slots, c.starved = c.least, now
	} else if used > c.slots/2 {
		c.slots = min(c.slots+c.slots/4, c.most)
	}
}

// latencies reads the runtime's histogram. It is read only by adapt.
type latencies struct{ sample []metrics.Sample }

func newLatencies() *latencies { return &latencies{[]metrics.Sample{{Name: schedulingLatency}}} }

func (l *latencies) read() (waits, long uint64) {
	metrics.Read(l.sample)
	if l.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, 0
	}
	h := l.sample[0].Value.Float64Histogram()
	for i, n := range h.Counts {
		waits += n
		if h.Buckets[i] >= maxWait {
			long += n
		}
	}
	return waits, long
}
