// Package postgres is the way to the database: a pool that dials on first use, budgets for getting a connection and for
// a statement, and the few classes of failure that callers tell apart. It knows no table but the change log
// (changelog.go) and the bookkeeping of the migrations.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	defaultMaxConns = 16
	// minLeft is what must be left of a request for a statement to be worth its start; with less it would be cut off
	// and its work thrown away.
	minLeft = 100 * time.Millisecond
	// replyShare is kept to write the answer.
	replyShare = 20 * time.Millisecond
)

// Querier runs statements: a connection, or a transaction on one.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// DB is a pool of connections to one PostgreSQL primary. Its methods may be called concurrently.
type DB struct {
	pool     *pgxpool.Pool
	login    Login // nil: the URL says all
	budgets  Budgets
	liveness *liveness
	limiter  *limiter
	retries  *retries
	observe  func(waited, took time.Duration, err error)
	urgent   bool
}

// Options of a DB.
type Options struct {
	MaxConns int   // connections at most, where the URL does not say; 0: 16
	Login    Login // nil: the URL has user and password
	// Token says that the login's passwords are tokens, which go to the server as they are and open it to whoever has
	// one. The URL must name user and host then, and verify the server.
	Token bool
	// Observe is told of each use of a connection: for how long it was waited for, how long the statements took, and their
	// error; where none could be had, of that, with no time for statements. What was refused is in Stats. It may be nil.
	Observe func(waited, took time.Duration, err error)
	// Tracer sees each statement. It may be nil.
	Tracer pgx.QueryTracer
	// Budgets bound each statement. The zero value means [DefaultBudgets].
	Budgets Budgets
}

// Open parses databaseURL (libpq's URL or key=value form; pool_max_conns and default_query_exec_mode are pgx's) and
// returns a DB that dials on first use. An error never repeats the URL, which may hold a password.
func Open(databaseURL string, o Options) (*DB, error) {
	o.Budgets = cmp.Or(o.Budgets, DefaultBudgets())
	cfg, t, err := parse(databaseURL, o.Login != nil, o.Token)
	if err != nil {
		return nil, err
	}
	if t != nil {
		cfg.BeforeConnect = t.beforeConnect(o.Login, o.Budgets.Connect)
	}
	if !strings.Contains(databaseURL, "pool_max_conns") {
		cfg.MaxConns = int32(cmp.Or(o.MaxConns, defaultMaxConns))
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = o.Budgets.Connect
	}
	cfg.ConnConfig.DialFunc = boundedDial(cfg.ConnConfig.DialFunc, cfg.ConnConfig.ConnectTimeout, o.Budgets)
	conns, reserved := int(cfg.MaxConns), 0
	if o.MaxConns == 0 { // a function has a connection for each of its requests
		reserved = conns / reserve
	}
	db := &DB{
		login: o.Login, budgets: o.Budgets, liveness: &liveness{now: time.Now, ping: o.Budgets.Ping},
		limiter: newLimiter(conns, reserved, o.Budgets), retries: newRetries(), observe: o.Observe,
	}
	cfg.ConnConfig.Tracer = o.Tracer
	cfg.AfterConnect = db.liveness.connected
	// The pool would keep a dead connection's place for as long as pgx tries to end it properly: see acquire.
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	cfg.ConnConfig.RuntimeParams["application_name"] = "database-service"
	if db.pool, err = pgxpool.NewWithConfig(context.Background(), cfg); err != nil {
		return nil, errors.New("cannot make a pool of connections")
	}
	return db, nil
}

// CheckURL returns what Open would say of databaseURL. login says whether another source than the URL knows user and
// password, and token whether the passwords are tokens.
func CheckURL(databaseURL string, login, token bool) error {
	_, _, err := parse(databaseURL, login, token)
	return err
}

// parse also returns the target, if there is a login.
func parse(databaseURL string, login, token bool) (*pgxpool.Config, *target, error) {
	if !login {
		cfg, err := pgxpool.ParseConfig(databaseURL)
		if err != nil {
			return nil, nil, errors.New("is not a PostgreSQL URL")
		}
		return cfg, nil, nil
	}
	t, err := parseTarget(databaseURL, token)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := t.config()
	return cfg, t, err
}

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.pool.Close() }

// Urgent returns the same DB for statements that must get through while others wait: a quarter of the connections is left
// to them (none of less than four, nor in a function).
func (db *DB) Urgent() *DB {
	u := *db
	u.urgent = true
	return &u
}

// Stats is the state of the pool, and what was refused since it was made.
type Stats struct {
	InUse, Idle, Connecting, Max int    // connections
	Waiting                      int    // statements that wait for one
	Refused                      uint64 // statements that waited too long or not at all, and were not started
}

// Stats returns the state of the pool.
func (db *DB) Stats() Stats {
	s := db.pool.Stat()
	return Stats{
		InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Connecting: int(s.ConstructingConns()), Max: int(s.MaxConns()),
		Waiting: int(db.limiter.waiting.Load()), Refused: db.limiter.refused.Load(),
	}
}

// Address returns host:port/database, without user and password: fit for a log line.
func (db *DB) Address() string {
	c := db.pool.Config().ConnConfig
	u := url.URL{Host: fmt.Sprintf("%s:%d", c.Host, c.Port), Path: "/" + c.Database}
	return strings.TrimPrefix(u.String(), "//")
}

// Read runs f with a connection of its own, without a transaction around its statements. Connection and f share
// 500 ms, of which at most 100 ms are waited for one to become free, and 250 ms in all until it is there; less where ctx
// ends earlier. Where the connection turns out to be dead, f runs once more on another: f must only read. (One call in
// ten may, and 32 at once.) An error has [ErrUnavailable], [ErrOverloaded] or [ErrRetry] in it where one of them applies.
func (db *DB) Read(ctx context.Context, f func(context.Context, Querier) error) error {
	db.retries.earn()
	err := db.do(ctx, f)
	_, refused := refusedPassword(err)
	if err != nil && isBroken(err) && !isSlow(err) && !refused && ctx.Err() == nil && db.retries.spend() {
		err = db.do(ctx, f)
	}
	return classify(ctx, err)
}

// Write is Read for an f that changes something, which runs once: after a broken connection nobody knows whether it
// took effect.
func (db *DB) Write(ctx context.Context, f func(context.Context, Querier) error) error {
	return classify(ctx, db.do(ctx, f))
}

// do lets the login answer a password that the server refused, which is how a rotation shows, once.
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
	start, left := time.Now(), db.budgets.Statement
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, deadline.Sub(start)-replyShare)
		if left < minLeft {
			return errTooLate
		}
	}
	if err := db.limiter.enter(ctx, db.urgent); err != nil {
		return err
	}
	defer db.limiter.leave(db.urgent)
	s := statement{ctx, start.Add(left)}
	conn, err := db.acquire(s, db.budgets.Acquire)
	if err != nil {
		if db.observe != nil {
			db.observe(time.Since(start), 0, err)
		}
		return fmt.Errorf("get a connection: %w", err)
	}
	defer func() { release(ctx, conn, err) }()
	wire := conn.Conn().PgConn().Conn()
	if err := wire.SetDeadline(s.deadline); err != nil {
		return err
	}
	ready := start
	if db.observe != nil {
		ready = time.Now()
	}
	err = f(s, conn)
	_ = wire.SetDeadline(time.Time{}) // fails on a connection that broke, which is not used again
	db.limiter.observe(err)
	if db.observe != nil {
		db.observe(ready.Sub(start), time.Since(ready), err)
	}
	return err
}

// statement is the context of statements on one connection, which ends them by its own deadline. pgx would start a
// goroutine and this package a timer for each context that can end. A caller who gives up meanwhile is not heeded: what
// he asked for is done within the budget, and a write has an outcome that is known.
type statement struct {
	context.Context
	deadline time.Time
}

// Deadline implements context.Context.
func (s statement) Deadline() (time.Time, bool) { return s.deadline, true }

// Done implements context.Context.
func (statement) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (statement) Err() error { return nil }

// acquire returns a connection within the budget.
func (db *DB) acquire(s statement, budget time.Duration) (*pgxpool.Conn, error) {
	end := time.Now().Add(budget)
	if s.deadline.Before(end) {
		end = s.deadline
	}
	ctx, cancel := context.WithDeadline(s, end)
	defer cancel()
	conn, err := db.acquireLive(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, errNoConnection
	}
	return conn, err
}

// QueryOne runs one reading statement that returns one row, and collects it with fn (pgx.RowToStructByName and the like).
// No row is pgx.ErrNoRows.
func QueryOne[T any](ctx context.Context, db *DB, fn pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	var row T
	err := db.Read(ctx, func(ctx context.Context, q Querier) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		row, err = pgx.CollectExactlyOneRow(rows, fn)
		return err
	})
	return row, err
}

// QueryAll runs one reading statement and collects its rows with fn.
func QueryAll[T any](ctx context.Context, db *DB, fn pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	var all []T
	err := db.Read(ctx, func(ctx context.Context, q Querier) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, fn)
		return err
	})
	return all, err
}
