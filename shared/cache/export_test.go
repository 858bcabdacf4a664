package cache

import "time"

// SetNow gives the cache another clock. It must come before the first read.
func (c *Cache) SetNow(now func() time.Time) { c.now = now }
