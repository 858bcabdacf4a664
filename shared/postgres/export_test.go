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

// RunLate runs a statement that got its place when its time was over. left is what its request has left.
func (db *DB) RunLate(ctx context.Context, left time.Duration) error {
	now := time.Now()
	s := &statement{Context: ctx, start: now.Add(-time.Second), deadline: now.Add(-time.Second / 2), end: now.Add(left)}
	return db.run(s, func(ctx context.Context, q Querier) error {
		_, err := q.Exec(ctx, "SELECT 1")
		return err
	})
}

// IsPlaintext is for tests.
var IsPlaintext = isPlaintext

// Dial makes a connection as the pool does.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	b := DefaultBudgets()
	return boundedDial(new(net.Dialer).DialContext, b.Connect, b)(ctx, "tcp", address)
}
