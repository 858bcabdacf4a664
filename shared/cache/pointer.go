package cache

import (
	"bytes"
	"context"
)

// A pointer leads from a name to an id. It is a hint, and nothing invalidates it: its reader must check that the entity
// still has that name.

// Pointer returns the id that the key led to when it was set, or "". An error says only that this request should not ask
// Redis again.
func (c *Cache) Pointer(ctx context.Context, key string) (id string, err error) {
	if !c.breaker.allow(c.now) {
		note(ctx, Bypassed)
		return "", errBreaker
	}
	note(ctx, Miss) // a lookup of the entity that it leads to overwrites this
	stored, err := c.client.Get(ctx, key).Bytes()
	if err == nil {
		if b, ok := verified(key, stored); ok {
			id = string(b)
		}
	}
	return id, c.report(err)
}

// SetPointer stores the id that a name led to. A failure costs a later reader one query.
func (c *Cache) SetPointer(ctx context.Context, key, id string) {
	var b bytes.Buffer
	writeChecksummed(&b, key, []byte(id))
	_ = c.report(c.client.Set(ctx, key, b.Bytes(), jitter(c.ttl)).Err())
}
