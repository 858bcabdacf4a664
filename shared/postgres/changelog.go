package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// Changes are the entries of the change log since a snapshot.
type Changes struct {
	Keys        []string // changed since then; at most MaxChangedKeys + 1
	Snapshot    string   // the snapshot of this answer; since of the next call
	Server      string   // system identifier and database
	Cluster     string   // system identifier, timeline, start time and database: only snapshots with the same value can be compared
	CacheKey    []byte   // the secret under which the cache seals
	UsersLogged bool     // changes of users are in the log
	NowMS       int64    `db:"now_ms"` // the database's clock, milliseconds since 1970
	Standby     bool
}

const (
	// AllKeys is the entry for "every entity": a table was truncated.
	AllKeys = "*"
	// MaxChangedKeys is the maximum number of keys to invalidate one by one. With more it is cheaper to invalidate
	// everything.
	MaxChangedKeys = 10_000
)

// ErrStandby is in every error of a server that is a standby.
var ErrStandby = errors.New("the server is a standby")

// After a promotion, pg_control_checkpoint() returns the old timeline until the first checkpoint, which may take
// minutes. From the end of recovery until that checkpoint, min_recovery_end_timeline has the new one. The start time
// detects a crash: a transaction that was visible but not yet on disk is lost, and its id is used again.
const changesSQL = `
SELECT
	(SELECT array_agg(key)
	   FROM (SELECT key
	           FROM game.cache_change
	          WHERE @since <> ''
	            AND xid >= pg_snapshot_xmin(coalesce(nullif(@since, ''), '1:1:')::pg_snapshot)
	            AND NOT pg_visible_in_snapshot(xid, coalesce(nullif(@since, ''), '1:1:')::pg_snapshot)
	          LIMIT 10001) AS changed) AS keys,
	pg_current_snapshot()::text AS snapshot,
	(SELECT system_identifier::text FROM pg_control_system())
		|| '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS server,
	(SELECT system_identifier::text FROM pg_control_system())
		|| '/' || (SELECT greatest(k.timeline_id, r.min_recovery_end_timeline)
		             FROM pg_control_checkpoint() AS k, pg_control_recovery() AS r)
		|| '/' || extract(epoch FROM pg_postmaster_start_time())
		|| '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS cluster,
	(SELECT key FROM game.cache_key) AS cache_key,
	coalesce((SELECT user_trigger FROM game.adapter), false) AS users_logged,
	floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms,
	pg_is_in_recovery() AS standby`

// Changes lists the entities that transactions not visible in the snapshot since have changed. An empty since asks for
// the current snapshot only. It fails on a standby, which may lack commits that the primary has acknowledged.
func (db *DB) Changes(ctx context.Context, since string) (Changes, error) {
	c, err := QueryOne(ctx, db, pgx.RowToStructByName[Changes], changesSQL, Args{"since": since})
	if err == nil && c.Standby {
		err = &classified{ErrUnavailable, ErrStandby}
	}
	return c, err
}
