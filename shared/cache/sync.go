package cache

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// lostRace is how long this process leaves a sync to the others after it has found one under way.
	lostRace = 50 * time.Millisecond
	// clockMargin keeps [Entry.Now] behind the database's clock: 1 ms for the rounding of two Redis clocks, and 1 ms for
	// clocks that drift apart by up to 0.1 %, which is 1 ms in MaxStaleness.
	clockMargin = 2 * time.Millisecond
)

var (
	errNotMine = errors.New("another sync is under way")
	errBreaker = errors.New("redis is not asked: it did not answer the last calls")
)

// sync applies to the node of key every committed change that the node has not seen, then publishes the watermark. It
// returns nil if the watermark is fresh now.
func (c *Cache) sync(ctx context.Context, key string) error {
	b := c.bucket(key)
	next := &c.noSyncUntil[b]
	now := c.now()
	until, later := next.Load(), now.Add(lostRace)
	if until != nil && now.Before(*until) || !next.CompareAndSwap(until, &later) {
		return errNotMine
	}
	token := c.token()
	w, fresh, err := c.begin(ctx, b, token)
	if err != nil {
		return err
	}
	if fresh {
		next.Store(nil)
		return nil
	}
	// The Redis clock was read before this snapshot: the watermark must not vouch for a commit that the snapshot lacks.
	changes, err := c.db.Changes(ctx, w.snapshot)
	if err != nil && w.snapshot != "" && !errors.Is(err, postgres.ErrUnavailable) && ctx.Err() == nil {
		// No sync has written a snapshot that the database cannot read.
		w.cluster = ""
		changes, err = c.db.Changes(ctx, "")
	}
	if err != nil {
		return err
	}
	keys := c.keysOf(b, changes.Keys)
	if w.snapshot == "" || len(w.epoch) != epochLen || w.cluster != changes.Cluster ||
		len(changes.Keys) > postgres.MaxChangedKeys || slices.Contains(changes.Keys, postgres.AllKeys) {
		// It is unknown what changed, or too much to list: a new epoch makes every older value and lease worthless.
		w.epoch, keys = randomHex(epochLen/2), nil
		c.stats.newEpochs.Add(1)
	}
	return c.apply(ctx, b, token, w, changes, keys)
}

// watermark is what a sync finds at its start.
type watermark struct {
	t                        string // the Redis clock now: t of the next watermark
	snapshot, epoch, cluster string
}

// begin takes the lock and reads the clock and the watermark. fresh reports that another process has just synced.
func (c *Cache) begin(ctx context.Context, b int, token string) (w watermark, fresh bool, err error) {
	reply, err := beginScript.Run(ctx, c.client, []string{c.bucketKey(b, watermarkKey), c.bucketKey(b, lockKey)},
		token, c.budgets.Lock.Milliseconds(), SyncAge.Milliseconds()).StringSlice()
	switch {
	case c.report(err) != nil:
		return watermark{}, false, err
	case err != nil:
		return watermark{}, false, errNotMine
	case len(reply) == 1:
		return watermark{}, true, nil
	case len(reply) != 4:
		return watermark{}, false, errReply
	}
	return watermark{t: reply[0], snapshot: reply[1], epoch: reply[2], cluster: reply[3]}, false, nil
}

// apply deletes the changed keys and moves the watermark, unless another sync has moved it first.
func (c *Cache) apply(ctx context.Context, b int, token string, w watermark, changes postgres.Changes, keys []string) error {
	all := append([]string{c.bucketKey(b, watermarkKey), c.bucketKey(b, lockKey)}, keys...)
	n, err := applyScript.Run(ctx, c.client, all, token, w.snapshot, changes.Snapshot, w.t, w.epoch, changes.Cluster,
		strconv.FormatInt(changes.NowMS-clockMargin.Milliseconds(), 10)).Int()
	if c.report(err) != nil {
		return err
	}
	if n == 0 {
		return errNotMine
	}
	c.stats.syncs.Add(1)
	c.noSyncUntil[b].Store(nil)
	return nil
}

// keysOf returns the changed keys of bucket b, as they are in Redis.
func (c *Cache) keysOf(b int, changed []string) []string {
	if !c.cluster {
		return changed
	}
	var keys []string
	for _, k := range changed {
		if key := c.key("", k); c.bucket(key) == b {
			keys = append(keys, key)
		}
	}
	return keys
}
