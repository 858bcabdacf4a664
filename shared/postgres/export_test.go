package postgres

import "time"

// SetNow gives the pool another clock. It must come before the first request.
func (db *DB) SetNow(now func() time.Time) { db.liveness.now = now }

// Open returns how many connections the pool has, and how many it has made so far.
func (db *DB) Open() (open int, made int64) {
	s := db.pool.Stat()
	return int(s.TotalConns()), s.NewConnsCount()
}

// MaxConns is the pool's limit.
func (db *DB) MaxConns() int { return int(db.pool.Config().MaxConns) }
