package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A Lambda process is frozen between requests, and while it is, flows die in silence and the monotonic clock may stand
// still. So a connection that was not used for a second, by the clock that saw more of it, has to answer before it is
// handed out. Once one of them has kept us waiting, the others that are as old are closed unasked: were each waited for,
// a request's time would be over before a new connection is made.

// trusted is for how long after its use a connection is not asked.
const trusted = time.Second

type liveness struct {
	now  func() time.Time
	ping time.Duration // Budgets.Ping
	// silent is when a connection last did not answer in time, in unix ns.
	silent atomic.Int64
}

// lastUse is kept with the connection.
type lastUse struct{ at time.Time }

const lastUseKey = "lastUse"

// connected is pgxpool's AfterConnect. A standby, which may lack commits that the primary has acknowledged, is refused: from
// version 14 on a server says of itself that it is one.
func (l *liveness) connected(_ context.Context, conn *pgx.Conn) error {
	if conn.PgConn().ParameterStatus("in_hot_standby") == "on" {
		return &classified{ErrUnavailable, errStandby}
	}
	conn.PgConn().CustomData()[lastUseKey] = &lastUse{l.now()}
	return nil
}

// answers reports whether conn can be used.
func (l *liveness) answers(ctx context.Context, conn *pgx.Conn) bool {
	use := conn.PgConn().CustomData()[lastUseKey].(*lastUse)
	now, before := l.now(), use.at
	use.at = now
	// Round takes the monotonic clock's reading off.
	if now.Sub(before) <= trusted && now.Round(0).Sub(before.Round(0)) <= trusted {
		return true
	}
	if before.UnixNano() < l.silent.Load() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, l.ping)
	defer cancel()
	err := conn.Ping(ctx)
	if isSlow(err) {
		l.silent.Store(now.UnixNano())
	}
	return err == nil
}

// acquireLive returns a connection that is new, was used a moment ago, or has answered just now.
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

// drop closes a connection on which nobody waits for anything.
func drop(ctx context.Context, conn *pgxpool.Conn) {
	c := conn.Hijack()
	_ = c.Close(ctx)              // says good-bye, which takes no answer; nothing where the ping has failed
	_ = c.PgConn().Conn().Close() // pgx reads on for 15 s after a ping that got no answer
}

// release gives a connection back, after a statement that came to err. One that broke leaves the pool at once: pgx goes on
// for up to 15 s to have the server cancel what ran there, and for so long the pool would count it as open, which is the
// only one that a function has. So does one to a server that takes no writes: since a failover the primary is another.
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
