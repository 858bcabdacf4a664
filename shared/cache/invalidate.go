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
	if c.client == nil {
		return
	}
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

// delete deletes the values and leases of this database's processes, whatever version of the program they are. A process
// that does not know its database yet deletes those of all databases.
func (c *Cache) delete(ctx context.Context, keys []string) error {
	server := ""
	if id := c.identity.Load(); id != nil {
		server = id.tag[:tagLen/2]
	}
	if !c.cluster {
		return c.report(deleted(deleteScript.Run(ctx, c.client, keys, server), len(keys)))
	}
	replies, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			deleteScript.Eval(ctx, p, []string{key}, server) // in a pipeline no text can follow an unknown SHA
		}
		return nil
	})
	for _, r := range replies {
		err = errors.Join(err, deleted(r.(*redis.Cmd), 1))
	}
	return c.report(err)
}

// deleted is nil only if the script has deleted that many keys. Nothing else proves that the values are gone.
func deleted(reply *redis.Cmd, keys int) error {
	n, err := reply.Int()
	if errors.Is(err, redis.Nil) || err == nil && n != keys {
		return errReply
	}
	return err
}
