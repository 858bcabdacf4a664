package limiter

import "time"

// Accounts returns how many principals are remembered.
func (l *Limiter) Accounts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accounts)
}

// Extend returns how much longer a caller waits whose timer fires now.
func (w Want) Extend(now time.Time) time.Duration { return (&entry{Want: w}).extend(now) }

// Capacity is the number of slots that follows a fake runtime.
type Capacity struct{ c capacity }

// NewCapacity returns a Capacity. read returns how many goroutines have waited for a CPU since the start, and how many of them long.
func NewCapacity(most, least int, read func() (waits, long uint64)) *Capacity {
	c := newCapacity(most, least)
	c.read = read
	return &Capacity{c}
}

// Adapt returns the number of slots at that time, with that many in use.
func (c *Capacity) Adapt(now time.Time, used int) int {
	c.c.adapt(now, used)
	return c.c.slots
}

// Starved returns when goroutines last waited too long.
func (c *Capacity) Starved() time.Time { return c.c.starved }

// ReadLatencies reads the Go runtime's histogram.
func ReadLatencies() (waits, long uint64) { return newLatencies().read() }
