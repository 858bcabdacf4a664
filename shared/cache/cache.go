// Package cache keeps the bytes of entities in Redis. A read is at most [MaxStaleness] (1 s) stale, however the entity was
// changed and whatever happens to Redis. There is no background process. What the cache cannot prove fresh, it reads from
// the database.
//
// PostgreSQL logs the last transaction that changed each entity (the change log: see postgres.Changes). A sync deletes from
// Redis every entity that the log has named since the last sync. Then it publishes a watermark: the Redis clock when the
// sync began, and the database snapshot that was applied. A value is served only under a watermark that is at most
// MaxStaleness old.
//
// Names and keys derive from the identity of the database and its secret: see type identity. So a process reads only what
// a process of the same database has written.
//
// A miss takes a lease before it reads the database, and fills only if its lease is still there. An invalidation deletes
// the lease, so a value that was read before a change is never written after it. Every value carries the epoch of the
// watermark, so one new epoch makes all older values worthless.
//
// The clocks of a Redis and of the replica that takes its place must agree. If the new one is behind, reads may be stale
// for that much longer.
//
// An entity is a Redis hash named after it, for example user:{id}. Its field <fp><tag> holds epoch and sealed bytes, and
// its field l<fp><tag> a lease. fp is the fingerprint of the bytes' format: two versions of the program never read each
// other's values. tag is that of the database. The watermark is the hash wm:<tag>: t is the Redis clock, s the snapshot, e
// the epoch, d the database's clock at t (never ahead of it), m and n their authentication codes, which include its name. The string wm:<tag>:lock
// is the lock of a sync.
//
// Command modelcheck explores the interleavings of the protocol. Run it after every change of the protocol.
package cache

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// MaxStaleness is the oldest watermark under which a value is served, and so the staleness bound of every read.
	MaxStaleness = time.Second
	// SyncAge is the age of a watermark from which a reader syncs.
	SyncAge = MaxStaleness / 4
	// LeaseTime is the default of Budgets.Lease.
	LeaseTime = time.Second
	// DefaultTTL is how long Redis keeps an entity that does not change.
	DefaultTTL = 300 * time.Second
)

// Options of a Cache.
type Options struct {
	TTL time.Duration // at most how long Redis keeps a value, and how old a value may be; default DefaultTTL
	// KeyPrefix begins every key, for a Redis that other programs use as well.
	KeyPrefix string
	// OnShared is called once, when the cache finds that another database uses the same Redis. It may be nil.
	OnShared func()
	// OnUnusable is called when Redis answers and cannot be the cache: once for each kind of reason. It is called with nil if
	// a later [Cache.Check] finds that all is well again. It may be nil.
	OnUnusable func(*Unusable)
	// OnOutage is called when Redis does not answer for the third time in a row, with the last error, and with nil when it
	// answers again. One call reports one change, however many requests see it. It may be nil.
	OnOutage func(error)
	// Traced says that the client's hooks need the request's context at each call. Otherwise a hit does without it.
	Traced bool
	// Memory keeps users in the process, in front of Redis. It may be nil.
	Memory Store
	// Budgets bound locks and leases. The zero value means [DefaultBudgets].
	Budgets Budgets
}

// Cache is one program's view of the Redis behind it. Its methods may be called concurrently.
type Cache struct {
	client  redis.UniversalClient
	db      *postgres.DB
	memory  *memory // nil: there is none
	cluster bool
	prefix  string
	// databases is the name of the list of the databases that use this Redis.
	databases string
	traced    bool
	ttl       time.Duration
	budgets   Budgets
	now       func() time.Time

	identity atomic.Pointer[identity] // nil: not asked for yet
	asking   singleflight.Group       // for the identity
	shared   shared
	notices  notices
	outage   outage
	kinds    kinds

	breaker breaker
	batches batches
	bypass  bypass
	readers atomic.Int32 // calls of Get under way, if each makes its own call to Redis
	// noSyncUntil holds, for each bucket, the time before which this process starts no sync: another one has the lock.
	noSyncUntil [buckets]atomic.Pointer[time.Time]
	// noWaitUntil is the time before which no reader waits for another's fill: the last one that waited got none.
	noWaitUntil atomic.Pointer[time.Time]
	tokenPrefix string
	tokens      atomic.Uint64
	stats       counters
}

// New returns a Cache over client (see [Connect]). It reads the change log from db. It does not dial. Without a client every
// read goes to the database.
func New(client redis.UniversalClient, db *postgres.DB, o Options) *Cache {
	_, cluster := client.(*redis.ClusterClient)
	c := &Cache{
		client: client, db: db.Urgent(), cluster: cluster, traced: o.Traced, ttl: cmp.Or(o.TTL, DefaultTTL), now: time.Now,
		budgets: cmp.Or(o.Budgets, DefaultBudgets()), prefix: o.KeyPrefix, databases: databasesKey,
		shared: shared{report: o.OnShared}, notices: notices{report: o.OnUnusable}, outage: outage{report: o.OnOutage},
		tokenPrefix: randomHex(epochLen / 2),
	}
	c.batches.report = c.report
	if o.Memory != nil {
		c.memory = newMemory(c, o.Memory)
	}
	return c
}

// Entry is an entity as the cache or the database had it.
type Entry struct {
	// Bytes are the reader's own. They are nil if Value is set.
	Bytes []byte
	// Value is what Kind.InProcess has decoded from the bytes. Other readers have the same: it must not be changed.
	Value any
	// Now is the database's clock at the read, for deadlines. It is never ahead of that clock, so a deadline that has
	// passed by Now has passed in the database. It is behind by the last sync's round trip: mostly a few milliseconds, at
	// most MaxStaleness. This holds while the clocks of Redis and of the database run at one rate and are not set.
	Now time.Time
	// TTL shortens how long this value is kept, if a load sets it.
	TTL time.Duration
	// source is where the bytes come from, for the tier in the process.
	source source
}

// source is the database if id is nil. Otherwise it is Redis.
type source struct {
	id   *identity
	asOf int64         // what is as new as the database was at this time, by its own clock, in milliseconds
	age  time.Duration // since the fill
}

// Load reads one entity from the primary. Its error (for example "not found") goes to the reader and fills nothing.
type Load func(ctx context.Context, id string) (Entry, error)

// Kind is one kind of entity.
type Kind struct {
	cache   *Cache
	prefix  string
	format  func() string // part of the field of the hash that has the value
	load    Load
	loads   coalescer
	memory  *memory // nil: the entities are not kept in the process
	decode  func([]byte) (any, error)
	current atomic.Pointer[view]
}

// Kind returns the entities whose keys are prefix + id. The format identifies the format of their bytes (see
// [Fingerprint]): it must change whenever the meaning of the bytes does. It is called at the first use.
func (c *Cache) Kind(prefix string, format func() string, load Load) *Kind {
	c.kinds.add(prefix)
	return &Kind{cache: c, prefix: prefix, format: sync.OnceValue(format), load: load}
}

// InProcess keeps the entities also in the process, if the program has a [Store] for that. It is for entities that this
// service never writes: a process must see another process's acknowledged write at once. A hit there has the decoded Value. It must
// come before the first read.
func (k *Kind) InProcess(decode func([]byte) (any, error)) *Kind {
	if n := nameOf(k.prefix); n.Prefix == "" || n.ID != "" {
		panic("the prefix of a Kind in the process must end with its first colon: syncs take keys apart there")
	}
	k.memory, k.decode = k.cache.memory, decode
	return k
}
