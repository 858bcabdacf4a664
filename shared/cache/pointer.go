package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// A pointer leads from a name to an id. It is a hint, and nothing invalidates it: its reader must check that the entity
// still has that name.

// Pointer returns the id that the name led to when it was set, or "". An error says only that this request should not ask
// Redis again.
func (c *Cache) Pointer(ctx context.Context, prefix, name string) (id string, err error) {
	if c.client == nil {
		return "", nil
	}
	if !c.breaker.allow(c.now) {
		note(ctx, Bypassed)
		return "", errBreaker
	}
	database, err := c.identify(ctx)
	if err != nil {
		return "", err
	}
	note(ctx, Miss) // a lookup of the entity that it leads to overwrites this
	key := c.pointerKey(database, prefix, name)
	sealed, err := c.client.Get(ctx, key).Bytes()
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return "", c.report(nil) // SetPointer replaces it
	}
	if err == nil {
		if value, _, ok := database.open(sealed, place(nil, key, "", nil)); ok {
			id = string(value)
		}
	}
	return id, c.report(err)
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
