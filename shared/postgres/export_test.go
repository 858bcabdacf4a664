package postgres

import (
	"context"
	"net"
	"time"
)

// SetNow sets the pool's clock. Call it before the first request.
func (db *DB) SetNow(now func() time.Time) { db.liveness.now = now }

// Open returns the number of the pool's connections now, and of all connections that it has made.
func (db *DB) Open() (open int, made int64) {
	s := db.pool.Stat()
	return int(s.TotalConns()), s.NewConnsCount()
}

// MaxConns is the pool's limit.
func (db *DB) MaxConns() int { return int(db.pool.Config().MaxConns) }

// Heavy returns how many statements of heavy requests have a place.
func (db *DB) Heavy() int { return db.limiter.heavy.Stats().Inside }

// Answer records that the database has just answered a statement.
func (db *DB) Answer() { db.limiter.observe(nil) }

// IsPlaintext is for tests.
var IsPlaintext = isPlaintext

// Dial makes a connection as the pool does.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	b := DefaultBudgets()
	return boundedDial(new(net.Dialer).DialContext, b.Connect, b)(ctx, "tcp", address)
}
