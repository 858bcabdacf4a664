package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// A pointer leads from a name to an id. It is a hint that nobody invalidates: its reader checks that the entity still
// bears the name.

// Pointer returns the id that the key led to when it was set, or "". An error says only that Redis is not to be asked
// again in this request.
func (c *Cache) Pointer(ctx context.Context, key string) (id string, err error) {
	if !c.breaker.allow(c.now) {
		return "", errBreaker
	}
	id, err = c.client.Get(ctx, key).Result()
	if err == redis.Nil {
		id = ""
	}
	return id, c.report(err)
}

// SetPointer notes the id that a name led to. A failure costs a later reader one query.
func (c *Cache) SetPointer(ctx context.Context, key, id string) {
	_ = c.report(c.client.Set(ctx, key, id, jitter(c.ttl)).Err())
}
