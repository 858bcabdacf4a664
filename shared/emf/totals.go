package emf

// What is counted, and then how things are, in the order of the line.
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
	watermarkAge // from here on: how things are
	breakerOpen
	poolInUse
	poolMax
	metrics
)

// metric is one by its name: a number, or a time.
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

// totals are since the process began. Times are microseconds, so that those of the lines sum up.
type totals [metrics]int64

// since is what was counted after before, and how things are now.
func (t totals) since(before totals) totals {
	for i := range watermarkAge {
		t[i] -= before[i]
	}
	return t
}

// say tells whether the line has that metric. Each costs some 50 bytes: there is no zero, and how things are is said where it
// mattered, of the cache where it was asked, of the pool where a statement ran or was refused.
func (t *totals) say(i int) bool {
	switch i {
	case watermarkAge, breakerOpen:
		return t[cacheHits]+t[cacheMisses]+t[cacheUntrusted]+t[cacheBypassed] > 0
	case poolInUse, poolMax:
		return t[statements]+t[statementsRefused] > 0
	}
	return t[i] != 0
}

// read is called with the lock: what is read later is not less than what was read before.
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
