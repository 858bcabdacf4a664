package cache

import (
	"bytes"
	"context"
)

// A pointer leads from a name to an id. It is a hint that nobody invalidates: its reader checks that the entity still
// bears the name.

// Pointer returns the id that the key led to when it was set, or "". An error says only that Redis is not to be asked
// again in this request.
func (c *Cache) Pointer(ctx context.Context, key string) (id string, err error) {
	if !c.breaker.allow(c.now) {
		note(ctx, Bypassed)
		return "", errBreaker
	}
	note(ctx, Miss) // unless it leads to an entity that is looked for, too
	sealed, err := c.client.Get(ctx, key).Bytes()
	if err == nil {
		if b, ok := unseal(key, sealed); ok {
			id = string(b)
		}
	}
	return id, c.report(err)
}

// SetPointer notes the id that a name led to. A failure costs a later reader one query.
func (c *Cache) SetPointer(ctx context.Context, key, id string) {
	var b bytes.Buffer
	seal(&b, key, []byte(id))
	_ = c.report(c.client.Set(ctx, key, b.Bytes(), jitter(c.ttl)).Err())
}
