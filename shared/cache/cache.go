// Package cache keeps the bytes of entities in Redis and promises one thing: no read is staler than P = 1 s, however an
// entity was changed and whatever happens to Redis, with no background process. What it cannot prove fresh it reads
// from the database.
//
// PostgreSQL logs the last transaction that changed each entity (package postgres, Changes). A drain deletes from Redis
// what the log has named since the last one, and publishes a watermark: the Redis clock when the drain began, and the
// database snapshot that has been applied. A value is served only under a watermark that is at most P old. A miss takes
// a lease before it reads the database, and fills only where nobody has deleted the lease since; so a value that was
// read before a change is never written after it. Every value carries the epoch of the watermark, so one new epoch
// forgets everything. The clocks of a Redis and of the replica that takes its place must agree: where the new one is
// behind, MaxStaleness is longer by as much.
//
// Command modelcheck explores the protocol's interleavings, and has to be run again when it changes.
//
// An entity is a Redis hash named after it, user:{id} say; its fields are <fp> (epoch and bytes) and l<fp> (a lease),
// where fp is the fingerprint of the bytes' format: two versions of the program never read each other's values.
// The watermark is the hash wm (t, s, e, c, d), its lock the string wm:lock.
package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// MaxStaleness is how old a watermark may be under which a value is served, and so the staleness bound of every read.
	MaxStaleness = time.Second
	// SyncAge is the age of a watermark from which a reader drains.
	SyncAge = MaxStaleness / 4
	// LeaseTime bounds how long a load may take and still fill.
	LeaseTime = time.Second
	// lockTime is how long one drainer keeps others away. Where it fails, the lock is left to run out: that is the
	// pause before the next try.
	lockTime = 500 * time.Millisecond
	// DefaultTTL is how long Redis keeps an entity that nobody changes.
	DefaultTTL = 300 * time.Second

	// waitStep and waitSteps are for how long a reader waits for a value that another one loads.
	waitStep  = 5 * time.Millisecond
	waitSteps = 30

	epochLen = 16

	// crowd is how many readers look into Redis each for himself. With more they would wait for its connections, which are
	// so many, and then all be late; so those of one key share a look.
	crowd = poolSize / 2
)

// Options of a Cache.
type Options struct {
	TTL time.Duration // at most how long Redis keeps a value; default DefaultTTL
	// Traced says that the client's hooks want the context of a request at each call. A hit goes without it otherwise.
	Traced bool
}

// Cache is one program's view of the Redis behind it. Its methods may be called concurrently.
type Cache struct {
	client  redis.UniversalClient
	db      *postgres.DB
	cluster bool
	traced  bool
	ttl     time.Duration
	now     func() time.Time

	breaker breaker
	bypass  bypass
	readers atomic.Int32 // that are in Get
	// noSyncUntil holds, for each bucket, back the readers of this process whose drain would find another's lock.
	noSyncUntil [buckets]atomic.Pointer[time.Time]
	noWaitUntil atomic.Pointer[time.Time] // since nobody filled what this process waited for
	tokenPrefix string
	tokens      atomic.Uint64
	stats       counters
}

// New returns a Cache over client (see [Connect]); it reads the change log from db. It does not dial.
func New(client redis.UniversalClient, db *postgres.DB, o Options) *Cache {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	_, cluster := client.(*redis.ClusterClient)
	return &Cache{
		client: client, db: db.Urgent(), cluster: cluster, traced: o.Traced, ttl: o.TTL, now: time.Now,
		tokenPrefix: randomHex(epochLen / 2),
	}
}

// Entry is an entity as the cache or the database had it.
type Entry struct {
	Bytes []byte
	// Now is the database's clock at the read, for deadlines. It is never ahead of that clock, so what it hides is due. It
	// is behind by a sync's last round trip, mostly a few milliseconds and at most MaxStaleness. That holds while the
	// clocks of Redis and of the database run at one rate and are not set.
	Now time.Time
	// TTL, when a load sets it, shortens how long this value is kept.
	TTL time.Duration
}

// Load reads one entity from the primary. An error (not found, say) is returned to the reader and fills nothing.
type Load func(ctx context.Context, id string) (Entry, error)

// Kind is one kind of entity.
type Kind struct {
	cache   *Cache
	prefix  string
	format  func() string // the field of the hash that has the value
	load    Load
	flights flights
	looks   looks
}

// Kind returns the entities whose keys are prefix + id. The format says what their bytes are (see [Fingerprint]): whatever
// changes the meaning of the bytes must change it. It is asked at the first use.
func (c *Cache) Kind(prefix string, format func() string, load Load) *Kind {
	k := &Kind{cache: c, prefix: prefix, format: sync.OnceValue(format), load: load}
	k.looks.New = func() any { return k.newLook() }
	return k
}

// Get returns the entity as it was at most P ago, and never older than a write that was acknowledged before: by this
// process, or by another one that could tell Redis (see [Cache.Invalidate]); but where a failover of Redis has lost the
// deletion, that is MaxStaleness, too. It fails only where the load does, or the database does not answer.
func (k *Kind) Get(ctx context.Context, id string) (Entry, error) {
	c := k.cache
	key := c.key(k.prefix, id)
	defer c.readers.Add(-1)
	var e Entry
	var err error
	if c.readers.Add(1) > crowd {
		note(ctx, Shared)
		e, err = k.flights.do(ctx, key, func() (Entry, error) { return k.get(ctx, key, id, alone) })
	} else {
		e, err = k.get(ctx, key, id, k.flights.do)
	}
	// The clock is asked, since after a freeze a context learns late that its time is over. The entity may be older than P.
	if end, ok := ctx.Deadline(); err == nil && ok && !time.Now().Before(end) {
		return Entry{}, context.DeadlineExceeded
	}
	return e, err
}

// sharing runs a load, perhaps for several readers of a key.
type sharing func(ctx context.Context, key string, load func() (Entry, error)) (Entry, error)

// alone is for a load that is shared already.
func alone(_ context.Context, _ string, load func() (Entry, error)) (Entry, error) { return load() }

func (k *Kind) get(ctx context.Context, key, id string, share sharing) (Entry, error) {
	c := k.cache
	if c.bypass.has(key, c.now) || !c.breaker.allow(c.now) {
		c.count(ctx, Bypassed)
		return share(ctx, key, func() (Entry, error) { return k.load(ctx, id) })
	}
	r, err := k.read(ctx, key)
	if err == nil && r.t != 0 {
		c.stats.watermarkAge.Store(r.ms - r.t)
	}
	othersSync := false
	if err == nil && !r.within(SyncAge) {
		began := c.now()
		syncErr := c.sync(ctx, key)
		switch {
		case r.within(MaxStaleness - c.now().Sub(began)): // what was read is good in any case
		case syncErr == nil:
			r, err = k.read(ctx, key)
		case errors.Is(syncErr, postgres.ErrUnavailable):
			return Entry{}, syncErr // nor would the load get an answer, and there is no time to wait for two
		default:
			r = reading{} // which became too old meanwhile
			othersSync = errors.Is(syncErr, errNotMine)
		}
	}
	switch {
	case err == nil && othersSync:
		c.count(ctx, Untrusted)
		return share(ctx, key, func() (Entry, error) { return k.miss(ctx, key, id) })
	case err != nil || !r.within(MaxStaleness):
		c.count(ctx, Untrusted)
		return share(ctx, key, func() (Entry, error) { return k.load(ctx, id) })
	case r.value != nil:
		c.count(ctx, Hit)
		return Entry{Bytes: r.value, Now: r.databaseNow()}, nil
	case r.bad:
		c.stats.redisErrors.Add(1)
		_ = c.delete(ctx, []string{key}) // else nobody would write it anew before it expires
	}
	c.count(ctx, Miss)
	return share(ctx, key, func() (Entry, error) { return k.miss(ctx, key, id) })
}

// miss loads under a lease, and fills if the lease is still there.
func (k *Kind) miss(ctx context.Context, key, id string) (Entry, error) {
	token := k.cache.token()
	// Asked before the lease: once the bypass is over, a watermark that is fresh has seen the write.
	bypassed := k.cache.bypass.has(key, k.cache.now)
	l, err := k.lease(ctx, key, token)
	if err == nil && l.refused() && !bypassed {
		l, err = k.await(ctx, key, token)
	}
	if err == nil && l.value != nil && !bypassed {
		return Entry{Bytes: l.value, Now: l.databaseNow()}, nil // another process was faster
	}
	e, loadErr := k.load(ctx, id)
	switch {
	case loadErr != nil && l.granted:
		_ = k.cache.delete(ctx, []string{key}) // the lease: nobody shall wait for what is not there
		return e, loadErr
	case loadErr != nil || err != nil || !l.granted:
		return e, loadErr
	}
	k.fill(ctx, key, token, l.epoch, e)
	return e, nil
}

// await is for a reader who was refused the lease, since another one loads this entity, or drains. Were it to load, too, a
// key that many processes want would be loaded by each of them over and over for as long as that takes.
func (k *Kind) await(ctx context.Context, key, token string) (l lease, err error) {
	c := k.cache
	if until := c.noWaitUntil.Load(); until != nil && c.now().Before(*until) {
		return lease{}, nil
	}
	timer := time.NewTimer(waitStep)
	defer timer.Stop()
	for range waitSteps {
		select {
		case <-ctx.Done():
			return lease{}, ctx.Err()
		case <-timer.C:
		}
		if l, err = k.lease(ctx, key, token); err != nil || !l.refused() {
			return l, err
		}
		timer.Reset(waitStep)
	}
	later := c.now().Add(LeaseTime) // whoever it was is slow, or dead: nobody else waits in vain
	c.noWaitUntil.Store(&later)
	return l, nil
}

// Invalidate is called after the commit of an own write, or after one whose outcome is unknown, and before the caller
// hears of it: no later read of this service returns the older value. Where Redis does not answer, this process reads
// those keys from the database for MaxStaleness, and every other one learns of the change by the change log within P.
func (c *Cache) Invalidate(ctx context.Context, keys ...string) {
	for i, key := range keys {
		keys[i] = c.key("", key)
	}
	// The caller may be gone; the change is not.
	ctx = context.WithoutCancel(ctx)
	if c.breaker.allow(c.now) && c.delete(ctx, keys) == nil {
		return
	}
	c.stats.failedDeletes.Add(1)
	c.bypass.add(c.now().Add(MaxStaleness), keys)
}

func (c *Cache) delete(ctx context.Context, keys []string) error {
	if !c.cluster {
		return c.report(deleted(c.client.Del(ctx, keys...), len(keys)))
	}
	replies, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Del(ctx, key)
		}
		return nil
	})
	for _, r := range replies {
		err = errors.Join(err, deleted(r.(*redis.IntCmd), 1))
	}
	return c.report(err)
}

// deleted is nil where the reply is one to a DEL of so many keys: nothing else says that the value is gone.
func deleted(reply *redis.IntCmd, keys int) error {
	n, err := reply.Result()
	if err == redis.Nil || err == nil && (n < 0 || n > int64(keys)) {
		return errReply
	}
	return err
}

// report counts how a call went and tells the breaker of calls that got no answer. redis.Nil is an answer and no error;
// an error reply (a key of the wrong type, say) is one that came quickly, and a caller who gave up is not its fault.
func (c *Cache) report(err error) error {
	if err == nil || err == redis.Nil {
		c.breaker.success()
		return nil
	}
	c.stats.redisErrors.Add(1)
	if _, answered := errors.AsType[redis.Error](err); !answered && !errors.Is(err, context.Canceled) {
		c.breaker.failure(c.now)
	}
	return err
}

// token is unique to one lease or lock.
func (c *Cache) token() string {
	var b [8]byte
	n := c.tokens.Add(1)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return c.tokenPrefix + hex.EncodeToString(b[:])
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// jitter shortens a TTL by up to a tenth, so that what was filled together does not expire together.
func jitter(ttl time.Duration) time.Duration {
	return ttl - mathrand.N(ttl/10+1)
}
