package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/lateread"
)

// A Lambda process is frozen between requests. During a freeze, connections can die unnoticed, and the monotonic clock
// may stand still. So a connection that was idle for a second, by the wall clock or the monotonic clock, must answer a
// ping before it is used. After one ping has timed out, all connections that are as old are closed without a ping: a
// ping for each of them would use up the request's time before a new connection is made.

// trusted is how long after its last use a connection needs no ping.
const trusted = time.Second

// mostTries is how often the wait for a connection may be extended.
const mostTries = 4

type liveness struct {
	now  func() time.Time
	ping time.Duration // Budgets.Ping
	// silent is when a ping last timed out, in unix ns.
	silent atomic.Int64
}

// lastUse is stored with the connection.
type lastUse struct{ at time.Time }

const lastUseKey = "lastUse"

// connected begins the life of a connection. It refuses a standby, which may lack commits that the primary has acknowledged.
// From version 14 on, a server reports whether it is a standby.
func (l *liveness) connected(conn *pgx.Conn) error {
	if conn.PgConn().ParameterStatus("in_hot_standby") == "on" {
		return &classified{ErrUnavailable, ErrStandby}
	}
	conn.PgConn().CustomData()[lastUseKey] = &lastUse{l.now()}
	return nil
}

// answers reports whether conn can be used.
func (l *liveness) answers(ctx context.Context, conn *pgx.Conn) bool {
	use := conn.PgConn().CustomData()[lastUseKey].(*lastUse)
	now, before := l.now(), use.at
	use.at = now
	// Round removes the monotonic clock's reading.
	if now.Sub(before) <= trusted && now.Round(0).Sub(before.Round(0)) <= trusted {
		return true
	}
	if before.UnixNano() < l.silent.Load() {
		return false
	}
	// The connection's deadline ends the ping: it uses a reply that has arrived, however late this process reads it.
	wire, end := conn.PgConn().Conn(), time.Now().Add(l.ping)
	if wire.SetDeadline(end) != nil {
		return false
	}
	err := conn.Ping(&statement{Context: ctx, deadline: end})
	_ = wire.SetDeadline(time.Time{}) // fails on a broken connection, which is not used again
	if isSlow(err) {
		l.silent.Store(now.UnixNano())
	}
	return err == nil
}

// acquire returns a connection within the budget, and the time. If the end of the wait is noticed late, this process got no CPU, and the
// connection gets another while: a new one takes several replies, and CPU time to log in.
func (db *DB) acquire(s *statement) (conn *pgxpool.Conn, now time.Time, err error) {
	now = time.Now()
	budget, tries := db.budgets.Acquire, 0
	for s.allow(now) {
		end := now.Add(min(budget, s.deadline.Sub(now)))
		conn, err = db.acquireBy(s, end)
		now = time.Now()
		switch {
		case err == nil && s.allow(now):
			return conn, now, nil
		case err == nil:
			conn.Release()
		case !errors.Is(err, errNoConnection), now.Sub(end) < lateread.Starved, tries == mostTries:
			return nil, now, err
		}
		budget = lateread.Again
		tries++
	}
	return nil, now, db.limiter.refusal(s.Context, max(now.Sub(s.start), db.budgets.Queue))
}

func (db *DB) acquireBy(s *statement, end time.Time) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithDeadline(s, end)
	defer cancel()
	conn, err := db.acquireLive(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, late(s.Context, errNoConnection)
	}
	return conn, err
}

// acquireLive returns a connection that is new, was used within the last second, or has just answered a ping.
func (db *DB) acquireLive(ctx context.Context) (*pgxpool.Conn, error) {
	for {
		conn, err := db.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if db.liveness.answers(ctx, conn.Conn()) {
			return conn, nil
		}
		drop(ctx, conn)
	}
}

// drop closes a connection that runs no statement.
func drop(ctx context.Context, conn *pgxpool.Conn) {
	c := conn.Hijack()
	_ = c.Close(ctx)              // sends Terminate without waiting; does nothing if the ping has failed
	_ = c.PgConn().Conn().Close() // otherwise pgx would read for 15 s more after a ping without an answer
}

// release returns a connection after a statement that ended with err. A broken connection leaves the pool at once.
// Otherwise the pool would count it as open while pgx asks the server to cancel the statement, for up to 15 s, and a
// function has no other connection. A connection to a read-only server leaves the pool too: after a failover another
// server is the primary.
func release(ctx context.Context, conn *pgxpool.Conn, err error) {
	switch {
	case conn.Conn().IsClosed():
		conn.Hijack()
	case isReadOnly(err):
		drop(ctx, conn)
	default:
		conn.Release()
	}
}
