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
	errNotMine       = errors.New("another sync is under way")
	errOtherDatabase = errors.New("the database is another one than before")
	errBreaker       = errors.New("redis is not asked: it did not answer the last calls")
)

// sync applies to the node of key every committed change that the node has not seen, then publishes the watermark of the
// database id. It returns nil if the watermark is fresh now.
func (c *Cache) sync(ctx context.Context, id *identity, key string) error {
	b := c.bucket(key)
	next := &c.noSyncUntil[b]
	now := c.now()
	until, later := next.Load(), now.Add(lostRace)
	if until != nil && now.Before(*until) || !next.CompareAndSwap(until, &later) {
		return errNotMine
	}
	token := c.token()
	w, fresh, err := c.begin(ctx, id, b, token)
	if err != nil {
		return err
	}
	if fresh {
		next.Store(nil)
		return nil
	}
	// The Redis clock was read before this snapshot: the watermark must not vouch for a commit that the snapshot lacks.
	changes, err := c.db.Changes(ctx, w.snapshot)
	if err != nil {
		return err
	}
	if !id.is(changes) {
		// A failover, a restart or a new secret: the next read uses the names of that database.
		_, err := c.adopt(changes)
		next.Store(nil)
		return errors.Join(errOtherDatabase, err)
	}
	keys := c.keysOf(b, changes.Keys)
	if w.snapshot == "" ||
		len(changes.Keys) > postgres.MaxChangedKeys || slices.Contains(changes.Keys, postgres.AllKeys) {
		// It is unknown what changed, or too much to list: a new epoch makes every older value and lease worthless.
		w.epoch, keys = randomHex(epochLen/2), nil
		c.stats.newEpochs.Add(1)
	}
	return c.apply(ctx, id, b, token, w, changes, keys)
}

// watermark is what a sync finds at its start.
type watermark struct {
	t               string // the Redis clock now: t of the next watermark
	found           string // the snapshot in Redis, authentic or not
	snapshot, epoch string // empty if no sync of this database has written them
}

// begin takes the lock and reads the clock and the watermark. fresh reports that another process has just synced.
func (c *Cache) begin(ctx context.Context, id *identity, b int, token string) (w watermark, fresh bool, err error) {
	name := c.watermark(id, b)
	reply, err := beginScript.Run(ctx, c.client, []string{name, name + lockSuffix},
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
	w = watermark{t: reply[0], found: reply[1]}
	if epoch := reply[2]; id.resumes(name, w.found, epoch, reply[3]) {
		w.snapshot, w.epoch = w.found, epoch
	}
	return w, false, nil
}

// apply deletes the changed keys and moves the watermark, unless another sync has moved it first.
func (c *Cache) apply(ctx context.Context, id *identity, b int, token string, w watermark, changes postgres.Changes, keys []string) error {
	d, err := c.databaseClock(ctx, b, w, changes)
	if err != nil {
		return err
	}
	name := c.watermark(id, b)
	all := append([]string{name, name + lockSuffix, c.bucketKey(b, c.databases)}, keys...)
	reply, err := applyScript.Run(ctx, c.client, all, token, w.found, changes.Snapshot, w.t, w.epoch, d,
		id.mac(name, []byte(w.t), []byte(w.epoch), []byte(d)), id.mac(name, []byte(changes.Snapshot), []byte(w.epoch)),
		c.ttl.Milliseconds(), id.tag).StringSlice()
	if c.report(err) != nil {
		return err
	}
	if len(reply) == 0 {
		return errNotMine
	}
	c.stats.syncs.Add(1)
	c.noSyncUntil[b].Store(nil)
	c.shared.found(id.tag, w.t, reply)
	return nil
}

// databaseClock returns d of the watermark: the database's clock at t, or a little before. That clock was read at some time
// between t and now, so the time since t is subtracted.
func (c *Cache) databaseClock(ctx context.Context, b int, w watermark, changes postgres.Changes) (string, error) {
	now, err := clockScript.Run(ctx, c.client, []string{c.bucketKey(b, c.databases)}).Int64()
	if c.report(err) != nil {
		return "", err
	}
	t, err := strconv.ParseInt(w.t, 10, 64)
	if err != nil {
		return "", errReply
	}
	return strconv.FormatInt(changes.NowMS-clockMargin.Milliseconds()-(now-t), 10), nil
}

func (c *Cache) watermark(id *identity, b int) string { return c.bucketKey(b, watermarkKey+id.tag) }

// keysOf returns the changed keys of bucket b, as they are in Redis.
func (c *Cache) keysOf(b int, changed []string) []string {
	var keys []string
	for _, k := range changed {
		if key := c.key("", k); c.bucket(key) == b {
			keys = append(keys, key)
		}
	}
	return keys
}
