package postgres

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A pooler in transaction mode runs each statement on any of its connections to the server. There a prepared statement
// may be missing, or another client may have prepared it. The server then refuses the statement before it runs it. After
// the first such refusal a DB prepares no more statements, and runs the refused statement again.
//
// No connection is asked beforehand. A pooler in session mode, and one that keeps prepared statements itself, never
// refuses, so they keep the faster prepared statements. And a database without a pooler costs no extra statement.

// preparing tells whether a DB prepares statements.
type preparing struct {
	off     atomic.Bool
	instead pgx.QueryExecMode
	tell    func() // may be nil
}

func newPreparing(c *pgx.ConnConfig, tell func()) *preparing {
	p := &preparing{instead: pgx.QueryExecModeCacheDescribe, tell: tell}
	if c.DescriptionCacheCapacity == 0 {
		p.instead = pgx.QueryExecModeExec
	}
	return p
}

// run runs f on conn.
func (p *preparing) run(ctx context.Context, conn Querier, f func(context.Context, Querier) error) error {
	if p.off.Load() {
		return f(ctx, unprepared{conn, p.instead})
	}
	err := f(ctx, conn)
	if !lostStatement(err) {
		return err
	}
	if !p.off.Swap(true) && p.tell != nil {
		p.tell()
	}
	return f(ctx, unprepared{conn, p.instead})
}

// lostStatement reports whether the server refused a statement because it is not prepared, or is prepared already.
func lostStatement(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "26000" || e.Code == "42P05")
}

// unprepared is a Querier that prepares nothing.
type unprepared struct {
	Querier
	mode pgx.QueryExecMode
}

// Query implements Querier.
func (u unprepared) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return u.Querier.Query(ctx, sql, slices.Insert(slices.Clip(args), 0, any(u.mode))...)
}

// Exec implements Querier.
func (u unprepared) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return u.Querier.Exec(ctx, sql, slices.Insert(slices.Clip(args), 0, any(u.mode))...)
}
