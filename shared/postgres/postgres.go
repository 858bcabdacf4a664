// Package postgres connects to the database. It has a pool that connects on first use, time limits for a connection and
// for a statement, a limiter, and the few error classes that callers distinguish. The only tables it knows are the
// change log (changelog.go) and those of the migrations.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	defaultMaxConns = 16
	// minLeft is the least remaining time of a request in which a statement is started. With less time the statement
	// would probably be cut off and its work lost.
	minLeft = 100 * time.Millisecond
	// replyShare is reserved to write the answer.
	replyShare = 20 * time.Millisecond
)

// Querier runs statements. It is a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// DB is a pool of connections to one PostgreSQL primary. Its methods may be called concurrently.
type DB struct {
	pool     *pgxpool.Pool
	login    Login // nil: the URL has the login
	budgets  Budgets
	liveness *liveness
	limiter  *limiter
	retries  *retries
	prepare  *preparing
	schema   Schema
	inSchema *inSchema // nil: the default schema
	observe  func(waited, took time.Duration, err error)
	urgent   bool
}

// Options of a DB.
type Options struct {
	MaxConns int   // maximum number of connections if the URL has no pool_max_conns; 0: 16
	Login    Login // nil: the URL has user and password
	// Token means that the login's passwords are tokens. They are sent unhashed, and any client that has one can
	// log in. So the URL must have user and host, and must verify the server.
	Token bool
	// Observe is called after each use of a connection with the wait for the connection, the time of the statements,
	// and their error. If there was no connection, took is 0. It is not called for statements that the limiter refused;
	// Stats counts those. It may be nil.
	Observe func(waited, took time.Duration, err error)
	// Tracer sees each statement. It may be nil.
	Tracer pgx.QueryTracer
	// OnPooler is called once, after the first statement that a pooler in transaction mode has lost: see pooler.go. It may
	// be nil.
	OnPooler func()
	// Schema is the service's schema. Statements name DefaultSchema, whatever it is: see [Schema.In].
	Schema Schema
	// OnPlaintext is called once, after the first connection to another machine without TLS. It may be nil.
	OnPlaintext func()
	// Budgets bound each statement. The zero value means [DefaultBudgets].
	Budgets Budgets
}

// Open parses databaseURL and returns a DB that connects on first use. The URL has libpq's URL or key=value form, plus
// pgx's pool_max_conns and default_query_exec_mode, and what Prisma and node-postgres add. An error never contains the URL, because it may have a password.
func Open(databaseURL string, o Options) (*DB, error) {
	o.Budgets = cmp.Or(o.Budgets, DefaultBudgets())
	cfg, t, err := parse(databaseURL, o.Login != nil, o.Token)
	if err != nil {
		return nil, err
	}
	if t != nil {
		cfg.BeforeConnect = t.beforeConnect(o.Login, o.Budgets.Connect)
	}
	if !strings.Contains(databaseURL, "pool_max_conns") && !strings.Contains(databaseURL, "connection_limit") {
		cfg.MaxConns = int32(cmp.Or(o.MaxConns, defaultMaxConns))
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = o.Budgets.Connect
	}
	cfg.ConnConfig.DialFunc = boundedDial(cfg.ConnConfig.DialFunc, cfg.ConnConfig.ConnectTimeout, o.Budgets)
	reserved := reserve
	if o.MaxConns != 0 { // a function has a connection for each of its requests
		reserved = 0
	}
	db := &DB{
		login: o.Login, budgets: o.Budgets, liveness: &liveness{now: time.Now, ping: o.Budgets.Ping},
		limiter: newLimiter(int(cfg.MaxConns), reserved), retries: newRetries(), observe: o.Observe,
		prepare: newPreparing(cfg.ConnConfig, o.OnPooler), schema: o.Schema, inSchema: newInSchema(o.Schema),
	}
	cfg.ConnConfig.Tracer = o.Tracer
	var told sync.Once
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		if o.OnPlaintext != nil && isPlaintext(conn.PgConn().Conn()) {
			told.Do(o.OnPlaintext)
		}
		return db.liveness.connected(conn)
	}
	// The pool's own ping would keep the place of a dead connection while pgx tries to close it properly: see
	// acquireLive.
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	cfg.ConnConfig.RuntimeParams["application_name"] = "database-service"
	if db.pool, err = pgxpool.NewWithConfig(context.Background(), cfg); err != nil {
		return nil, errors.New("cannot make a pool of connections")
	}
	return db, nil
}

// Close waits until no connection is in use, and closes all of them.
func (db *DB) Close() { db.pool.Close() }

// Urgent returns the same DB for urgent statements. A quarter of the connections is reserved for them; none if there
// are fewer than four connections, or in a function.
func (db *DB) Urgent() *DB {
	u := *db
	u.urgent = true
	return &u
}

// Stats is the state of the pool, and its counts since Open.
type Stats struct {
	InUse, Idle, Connecting, Max int    // connections
	Waiting                      int    // statements that wait for a connection
	Refused                      uint64 // statements that were not started, after a wait or immediately
}

// Stats returns the state of the pool.
func (db *DB) Stats() Stats {
	s := db.pool.Stat()
	waiting, refused := db.limiter.stats()
	return Stats{
		InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Connecting: int(s.ConstructingConns()), Max: int(s.MaxConns()),
		Waiting: waiting, Refused: refused,
	}
}

// Schema returns the service's schema.
func (db *DB) Schema() Schema { return db.schema }

// Address returns host:port/database without user and password, for a log line.
func (db *DB) Address() string {
	c := db.pool.Config().ConnConfig
	u := url.URL{Host: fmt.Sprintf("%s:%d", c.Host, c.Port), Path: "/" + c.Database}
	return strings.TrimPrefix(u.String(), "//")
}

// Read runs f on a connection, without a transaction. The time limits, which an earlier deadline of ctx shortens:
//   - 500 ms for everything. After a wait whose end was noticed late, because this process got no CPU, at least 100 ms.
//   - 250 ms of them until there is a connection, and more if this process gets no CPU meanwhile.
//   - 100 ms of these until a connection becomes free, if all are in use.
//
// If the connection is dead, f runs once more on another one, so f must only read. f also runs once more if a migration
// replaced what the statement uses. At most one call in ten is retried, plus a burst of 32. An error contains
// [ErrUnavailable], [ErrOverloaded] or [ErrRetry] if one of them applies.
func (db *DB) Read(ctx context.Context, f func(context.Context, Querier) error) error {
	db.retries.earn()
	err := db.do(ctx, f)
	_, refused := refusedPassword(err)
	again := isReplaced(err) || isBroken(err) && !isSlow(err) && !refused
	if err != nil && again && ctx.Err() == nil && db.retries.spend() {
		err = db.do(ctx, f)
	}
	return classify(ctx, err)
}

// Write is Read for an f that changes something. It runs f once: after a broken connection it is unknown whether the
// change took effect. f runs one statement: after a refusal that proves that its statement did not run, it runs again.
func (db *DB) Write(ctx context.Context, f func(context.Context, Querier) error) error {
	return classify(ctx, db.do(ctx, f))
}

// do retries once with a new password if the server refused the login's password, as after a rotation.
func (db *DB) do(ctx context.Context, f func(context.Context, Querier) error) error {
	if db.login == nil {
		return db.try(ctx, f)
	}
	if err := db.login.Ready(ctx); err != nil {
		return err
	}
	err := db.try(ctx, f)
	if password, ok := refusedPassword(err); ok && db.login.Renew(ctx, password) {
		err = db.try(ctx, f)
	}
	return err
}

func (db *DB) try(ctx context.Context, f func(context.Context, Querier) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	start := time.Now()
	s, place := &statement{Context: ctx, start: start, deadline: start.Add(db.budgets.Statement)}, place{of: db.limiter}
	if deadline, ok := ctx.Deadline(); ok {
		s.end = deadline.Add(-replyShare)
		if s.end.Before(s.deadline) {
			s.deadline = s.end
		}
	}
	if !s.allow(start) {
		return late(ctx, errTooLate)
	}
	if err := place.enter(ctx, &db.budgets, db.urgent, s.deadline); err != nil {
		return err
	}
	defer func() { place.leave(err == nil) }()
	return db.run(s, f)
}

// run runs f on a connection.
func (db *DB) run(s *statement, f func(context.Context, Querier) error) (err error) {
	conn, ready, err := db.acquire(s)
	if err != nil {
		if db.observe != nil && !errors.Is(err, ErrOverloaded) {
			db.observe(ready.Sub(s.start), 0, err)
		}
		return fmt.Errorf("get a connection: %w", err)
	}
	defer func() { release(s.Context, conn, err) }()
	wire := conn.Conn().PgConn().Conn()
	if err := wire.SetDeadline(s.deadline); err != nil {
		return err
	}
	err = db.prepare.run(s, db.inSchema.on(conn), f)
	_ = wire.SetDeadline(time.Time{}) // fails on a broken connection, which is not used again
	db.limiter.observe(err)
	if db.observe != nil {
		db.observe(ready.Sub(s.start), time.Since(ready), err)
	}
	return err
}

// statement is the context of the statements on one connection. It never ends; the connection's deadline ends the
// statements. For a context that can end, pgx would start a goroutine and this package a timer. So a caller that gives
// up does not stop its statement, which runs to its end within the budget. For a write this also means that its outcome
// is known.
type statement struct {
	context.Context
	start, deadline time.Time
	end             time.Time // of the request's time for it; zero: none
}

// allow gives s enough time from now on: a process that gets no CPU may notice the end of a wait when the time of s is over. It reports
// false if the request has not as much time.
func (s *statement) allow(now time.Time) bool {
	if enough := now.Add(minLeft); s.deadline.Before(enough) {
		s.deadline = enough
	}
	return s.end.IsZero() || !s.deadline.After(s.end)
}

// Deadline implements context.Context.
func (s *statement) Deadline() (time.Time, bool) { return s.deadline, true }

// Done implements context.Context.
func (*statement) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (*statement) Err() error { return nil }

// QueryOne runs one reading statement and collects its only row with fn, for example pgx.RowToStructByName. If there is
// no row, it returns pgx.ErrNoRows.
func QueryOne[T any](ctx context.Context, db *DB, fn pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	return query(ctx, db, func(rows pgx.Rows) (T, error) { return pgx.CollectExactlyOneRow(rows, fn) }, sql, args)
}

// QueryAll runs one reading statement and collects its rows with fn.
func QueryAll[T any](ctx context.Context, db *DB, fn pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	return query(ctx, db, func(rows pgx.Rows) ([]T, error) { return pgx.CollectRows(rows, fn) }, sql, args)
}

func query[T any](ctx context.Context, db *DB, collect func(pgx.Rows) (T, error), sql string, args []any) (result T, err error) {
	err = db.Read(ctx, func(ctx context.Context, q Querier) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		result, err = collect(rows)
		return err
	})
	return result, err
}
