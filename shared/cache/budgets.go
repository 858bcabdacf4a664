package cache

import "time"

// Budgets bound what the cache waits for, and for how long it keeps other processes waiting.
type Budgets struct {
	// Call is the time of one call to Redis, and of a dial.
	Call time.Duration
	// Lock is for how long one process keeps others from a sync. A process that fails leaves its lock to expire: that is the
	// pause before the next try.
	Lock time.Duration
	// Lease bounds how long a load may take and still fill.
	Lease time.Duration
}

// DefaultBudgets fit a request of one second.
func DefaultBudgets() Budgets {
	return Budgets{Call: 50 * time.Millisecond, Lock: 500 * time.Millisecond, Lease: LeaseTime}
}

// Times returns budgets that are n times as long.
func (b Budgets) Times(n int) Budgets {
	for _, d := range []*time.Duration{&b.Call, &b.Lock, &b.Lease} {
		*d *= time.Duration(n)
	}
	return b
}
