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
	errNotMine = errors.New("another drain is under way")
	errBreaker = errors.New("redis did not answer lately")
)

// drain applies to the node of key every committed change that it has not seen, then publishes the watermark. It
// returns nil where the watermark is fresh now.
func (c *Cache) sync(ctx context.Context, key string) error {
	b := c.bucket(key)
	next := &c.noSyncUntil[b]
	now := c.now()
	until, later := next.Load(), now.Add(lostRace)
	if until != nil && now.Before(*until) || !next.CompareAndSwap(until, &later) {
		return errNotMine
	}
	token := c.token()
	m, fresh, err := c.begin(ctx, b, token)
	if err != nil {
		return err
	}
	if fresh {
		next.Store(nil)
		return nil
	}
	// The Redis clock was read before this snapshot is taken: what commits in between is in neither.
	changes, err := c.db.Changes(ctx, m.snapshot)
	if err != nil && m.snapshot != "" && !errors.Is(err, postgres.ErrUnavailable) && ctx.Err() == nil {
		// A snapshot that the database cannot read was not written by a drain.
		m.cluster = ""
		changes, err = c.db.Changes(ctx, "")
	}
	if err != nil {
		return err
	}
	keys := c.keysOf(b, changes.Keys)
	if m.snapshot == "" || len(m.epoch) != epochLen || m.cluster != changes.Cluster ||
		len(changes.Keys) > postgres.MaxChangedKeys || slices.Contains(changes.Keys, postgres.AllKeys) {
		// What changed is unknown or too much to list: a new epoch kills every older value and lease.
		m.epoch, keys = randomHex(epochLen/2), nil
		c.stats.newEpochs.Add(1)
	}
	return c.apply(ctx, b, token, m, changes, keys)
}

// mark is the watermark as a drain found it.
type mark struct {
	t                        string // the Redis clock now
	snapshot, epoch, cluster string
}

// begin takes the lock and reads the clock and the watermark, unless that is fresh: another process was faster.
func (c *Cache) begin(ctx context.Context, b int, token string) (m mark, fresh bool, err error) {
	reply, err := beginScript.Run(ctx, c.client, []string{c.bucketKey(b, watermarkKey), c.bucketKey(b, lockKey)},
		token, lockTime.Milliseconds(), SyncAge.Milliseconds()).StringSlice()
	switch {
	case c.report(err) != nil:
		return mark{}, false, err
	case err != nil:
		return mark{}, false, errNotMine
	case len(reply) == 1:
		return mark{}, true, nil
	case len(reply) != 4:
		return mark{}, false, errReply
	}
	return mark{t: reply[0], snapshot: reply[1], epoch: reply[2], cluster: reply[3]}, false, nil
}

// apply deletes the changed keys and moves the watermark, unless another drain moved it first.
func (c *Cache) apply(ctx context.Context, b int, token string, m mark, changes postgres.Changes, keys []string) error {
	all := append([]string{c.bucketKey(b, watermarkKey), c.bucketKey(b, lockKey)}, keys...)
	n, err := applyScript.Run(ctx, c.client, all, token, m.snapshot, changes.Snapshot, m.t, m.epoch, changes.Cluster,
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

// keysOf names the changed entities that live in bucket b.
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
