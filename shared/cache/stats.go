package cache

import (
	"context"
	"sync/atomic"
	"time"
)

// Stats counts what the cache did since it was made.
type Stats struct {
	Hits          uint64 // served from Redis
	Misses        uint64 // looked for under a fresh watermark and not found
	Untrusted     uint64 // Redis failed, or had no fresh watermark: read from the database
	Bypassed      uint64 // not looked for: breaker open, or an own write could not be deleted
	Fills         uint64
	RefusedFills  uint64 // the entity changed while it was loaded
	Syncs         uint64
	NewEpochs     uint64 // drains that forgot everything
	RedisErrors   uint64
	FailedDeletes uint64 // own writes that could not be deleted from Redis

	// WatermarkAge is how old the watermark was at the last look: what was served then was at most that old.
	WatermarkAge time.Duration
	// BreakerOpen says that Redis is hardly asked, since it did not answer.
	BreakerOpen bool
}

type counters struct {
	outcomes                                                          [Shared + 1]atomic.Uint64
	fills, refusedFills, syncs, newEpochs, redisErrors, failedDeletes atomic.Uint64
	watermarkAge                                                      atomic.Int64 // ms
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{
		Hits: s.outcomes[Hit].Load(), Misses: s.outcomes[Miss].Load(), Untrusted: s.outcomes[Untrusted].Load(),
		Bypassed: s.outcomes[Bypassed].Load(), Fills: s.fills.Load(), RefusedFills: s.refusedFills.Load(),
		Syncs: s.syncs.Load(), NewEpochs: s.newEpochs.Load(), RedisErrors: s.redisErrors.Load(),
		FailedDeletes: s.failedDeletes.Load(), WatermarkAge: time.Duration(s.watermarkAge.Load()) * time.Millisecond,
		BreakerOpen: c.breaker.failures.Load() >= breakAfter,
	}
}

// count counts what a read came to, and tells its request.
func (c *Cache) count(ctx context.Context, is Status) {
	c.stats.outcomes[is].Add(1)
	note(ctx, is)
}
