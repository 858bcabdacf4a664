package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Invalidate deletes the keys of an own write. Call it after the commit, or after a commit whose result is unknown, and
// before the caller gets its answer: then no later read of this service returns the older value. If Redis does not
// answer, this process reads those keys from the database for MaxStaleness. Every other process learns of the change from
// the change log within MaxStaleness.
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

// deleted is nil only if the reply fits a DEL of that many keys. Nothing else proves that the value is gone.
func deleted(reply *redis.IntCmd, keys int) error {
	n, err := reply.Result()
	if errors.Is(err, redis.Nil) || err == nil && (n < 0 || n > int64(keys)) {
		return errReply
	}
	return err
}
