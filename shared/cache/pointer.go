package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// A pointer leads from a name to an id. It is a hint, and nothing invalidates it: its reader must check that the entity
// still has that name.

// endless is the time of a pointer in the process: it is never too old, because its reader checks it.
const endless = 1<<63 - 1

// Pointer returns the id that the name led to when it was set, or "". An error says only that this request should not ask
// Redis again.
func (c *Cache) Pointer(ctx context.Context, prefix, name string) (id string, err error) {
	if c.memory == nil {
		id, _, err = c.pointerInRedis(ctx, prefix, name)
		return id, err
	}
	kept := Name{prefix, name}
	if e, ok := c.memory.get(kept); ok {
		return e.Value.(string), nil //nolint:forcetypeassert // only a pointer has such a prefix
	}
	t := c.memory.ticket()
	id, database, err := c.pointerInRedis(ctx, prefix, name)
	if id != "" {
		c.memory.fill(kept, t, Entry{Bytes: []byte(id), source: source{id: database, asOf: endless}}, id)
	}
	return id, err
}

// pointerInRedis also returns the database that the pointer was set for.
func (c *Cache) pointerInRedis(ctx context.Context, prefix, name string) (id string, database *identity, err error) {
	if c.client == nil {
		return "", nil, nil
	}
	if !c.breaker.allow(c.now) {
		note(ctx, Bypassed)
		return "", nil, errBreaker
	}
	database, err = c.identify(ctx)
	if err != nil {
		return "", nil, err
	}
	note(ctx, Miss) // a lookup of the entity that it leads to overwrites this
	key := c.pointerKey(database, prefix, name)
	sealed, err := c.client.Get(ctx, key).Bytes()
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return "", nil, c.report(nil) // SetPointer replaces it
	}
	if err == nil {
		if value, _, ok := database.open(sealed, place(nil, key, "", nil)); ok {
			id = string(value)
		}
	}
	return id, database, c.report(err)
}

// SetPointer stores the id that a name led to. A failure costs a later reader one query.
func (c *Cache) SetPointer(ctx context.Context, prefix, name, id string) {
	if c.client == nil {
		return
	}
	database, err := c.identify(ctx)
	if err != nil {
		return
	}
	key := c.pointerKey(database, prefix, name)
	if sealed, err := database.seal(nil, c.now().UnixMilli(), place(nil, key, "", nil), []byte(id)); err == nil {
		_ = c.report(c.client.Set(ctx, key, sealed, jitter(c.ttl)).Err())
	}
}

// pointerKey hides the name: an e-mail address must not be read from Redis.
func (c *Cache) pointerKey(database *identity, prefix, name string) string {
	return c.prefix + prefix + database.pointerName(prefix+name)
}
