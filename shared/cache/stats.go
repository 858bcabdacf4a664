package cache

import (
	"context"
	"sync/atomic"
	"time"
)

// Stats counts what the cache has done since [New].
type Stats struct {
	Hits          uint64 // served from Redis
	MemoryHits    uint64 // served from the process
	Misses        uint64 // not found in Redis, under a fresh watermark
	Untrusted     uint64 // Redis failed or had no fresh watermark: read from the database
	Bypassed      uint64 // Redis not asked: the breaker is open, or an own write could not be deleted
	Fills         uint64
	RefusedFills  uint64 // the entity changed while it was loaded
	Syncs         uint64
	NewEpochs     uint64 // syncs that made all values worthless
	RedisErrors   uint64
	FailedDeletes uint64 // own writes that could not be deleted from Redis

	MemorySyncs, MemoryFills, MemoryRefusedFills uint64 // of the tier in the process
	MemoryBytes                                  uint64
	MemoryEras                                   uint64 // how often that tier began anew: all that it had was worthless

	// WatermarkAge is the age of the watermark at the last lookup: what was served then was at most that stale.
	WatermarkAge time.Duration
	// BreakerOpen says that Redis did not answer and is hardly asked.
	BreakerOpen bool
}

type counters struct {
	statuses                                                          [Shared + 1]atomic.Uint64
	fills, refusedFills, syncs, newEpochs, redisErrors, failedDeletes atomic.Uint64
	watermarkAge                                                      atomic.Int64 // ms
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	s := &c.stats
	all := Stats{
		Hits: s.statuses[Hit].Load(), MemoryHits: s.statuses[Memory].Load(), Misses: s.statuses[Miss].Load(), Untrusted: s.statuses[Untrusted].Load(),
		Bypassed: s.statuses[Bypassed].Load(), Fills: s.fills.Load(), RefusedFills: s.refusedFills.Load(),
		Syncs: s.syncs.Load(), NewEpochs: s.newEpochs.Load(), RedisErrors: s.redisErrors.Load(),
		FailedDeletes: s.failedDeletes.Load(), WatermarkAge: time.Duration(s.watermarkAge.Load()) * time.Millisecond,
		BreakerOpen: c.breaker.open(),
	}
	if c.memory != nil {
		m := &c.memory.stats
		all.MemoryBytes = c.memory.store.Bytes()
		all.MemorySyncs, all.MemoryEras = m.syncs.Load(), m.eras.Load()
		all.MemoryFills, all.MemoryRefusedFills = m.fills.Load(), m.refusedFills.Load()
	}
	return all
}

// count counts the status of a read, and notes it in its request.
func (c *Cache) count(ctx context.Context, s Status) {
	c.stats.statuses[s].Add(1)
	note(ctx, s)
}
