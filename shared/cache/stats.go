package cache

import "sync/atomic"

// Stats counts what the cache did since it was made.
type Stats struct {
	Hits          uint64 // served from Redis
	Misses        uint64 // looked for under a fresh watermark and not found
	Untrusted     uint64 // Redis failed, or had no fresh watermark: read from the database
	Bypassed      uint64 // not looked for: breaker open, or an own write could not be deleted
	Fills         uint64
	RefusedFills  uint64 // the entity changed while it was loaded
	Drains        uint64
	NewEpochs     uint64 // drains that forgot everything
	RedisErrors   uint64
	FailedDeletes uint64 // own writes that could not be deleted from Redis
}

type counters struct {
	hits, misses, untrusted, bypassed, fills, refusedFills, drains, newEpochs, redisErrors, failedDeletes atomic.Uint64
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(), Untrusted: s.untrusted.Load(), Bypassed: s.bypassed.Load(),
		Fills: s.fills.Load(), RefusedFills: s.refusedFills.Load(), Drains: s.drains.Load(), NewEpochs: s.newEpochs.Load(),
		RedisErrors: s.redisErrors.Load(), FailedDeletes: s.failedDeletes.Load(),
	}
}
