package emf

// The metrics in the order of the line: counters, then gauges.
const (
	cacheHits = iota
	cacheMisses
	cacheUntrusted
	cacheBypassed
	cacheFills
	cacheRefusedFills
	cacheSyncs
	cacheNewEpochs
	cacheFailedDeletes
	redisCalls
	redisFailures
	redisTime
	statements
	statementsRefused
	statementTime
	statementWait
	watermarkAge // the first gauge
	breakerOpen
	poolInUse
	poolMax
	metrics
)

// metric is a metric's name, and whether it is a time.
type metric struct {
	name string
	time bool
}

var named = [metrics]metric{
	cacheHits:          {name: "CacheHits"},
	cacheMisses:        {name: "CacheMisses"},
	cacheUntrusted:     {name: "CacheUntrusted"},
	cacheBypassed:      {name: "CacheBypassed"},
	cacheFills:         {name: "CacheFills"},
	cacheRefusedFills:  {name: "CacheRefusedFills"},
	cacheSyncs:         {name: "CacheSyncs"},
	cacheNewEpochs:     {name: "CacheNewEpochs"},
	cacheFailedDeletes: {name: "CacheFailedDeletes"},
	redisCalls:         {name: "RedisCalls"},
	redisFailures:      {name: "RedisFailures"},
	redisTime:          {name: "RedisTime", time: true},
	statements:         {name: "Statements"},
	statementsRefused:  {name: "StatementsRefused"},
	statementTime:      {name: "StatementTime", time: true},
	statementWait:      {name: "StatementWait", time: true},
	watermarkAge:       {name: "WatermarkAge", time: true},
	breakerOpen:        {name: "BreakerOpen"},
	poolInUse:          {name: "PoolInUse"},
	poolMax:            {name: "PoolMax"},
}

// totals are the counts since the process started, and the gauges. Times are in microseconds: the times of all lines add up
// without rounding.
type totals [metrics]int64

// since returns the counts after before, and the gauges of t.
func (t totals) since(before totals) totals {
	for i := range watermarkAge {
		t[i] -= before[i]
	}
	return t
}

// say reports whether the line contains metric i, which costs about 50 bytes. The line has no zero counts. It has the
// cache's gauges if the cache was used, and the pool's gauges if a statement ran or was refused.
func (t *totals) say(i int) bool {
	switch i {
	case watermarkAge, breakerOpen:
		return t[cacheHits]+t[cacheMisses]+t[cacheUntrusted]+t[cacheBypassed] > 0
	case poolInUse, poolMax:
		return t[statements]+t[statementsRefused] > 0
	}
	return t[i] != 0
}

// read returns the current totals. The caller holds the lock, so that no count is lower than in the line before.
func (m *Metrics) read() (t totals) {
	t[redisCalls], t[redisFailures], t[redisTime] = m.redis.calls.Load(), m.redis.failures.Load(), m.redis.took.Load()
	t[statements], t[statementTime], t[statementWait] = m.sql.uses.Load(), m.sql.took.Load(), m.sql.waited.Load()
	if m.cache != nil {
		c := m.cache.Stats()
		for i, n := range [...]uint64{
			cacheHits: c.Hits, cacheMisses: c.Misses, cacheUntrusted: c.Untrusted, cacheBypassed: c.Bypassed, cacheFills: c.Fills,
			cacheRefusedFills: c.RefusedFills, cacheSyncs: c.Syncs, cacheNewEpochs: c.NewEpochs, cacheFailedDeletes: c.FailedDeletes,
		} {
			t[i] = int64(n)
		}
		t[watermarkAge] = c.WatermarkAge.Microseconds()
		if c.BreakerOpen {
			t[breakerOpen] = 1
		}
	}
	if m.db != nil {
		db := m.db.Stats()
		t[statementsRefused], t[poolInUse], t[poolMax] = int64(db.Refused), int64(db.InUse), int64(db.Max)
	}
	return t
}
