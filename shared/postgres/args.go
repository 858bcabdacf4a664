package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Args are pgx.StrictNamedArgs, except that each statement is parsed once and not at each call. Statements must be
// constants.
type Args map[string]any

var _ pgx.QueryRewriter = Args(nil)

// positional is a statement in which $1 stands for the first of names, and so on.
type positional struct {
	sql   string
	names []string
}

var rewritten struct {
	sync.RWMutex
	m map[string]positional
}

// RewriteQuery implements pgx.QueryRewriter. It refuses a missing name, and a name that is not in the statement.
func (a Args) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, args []any) (string, []any, error) {
	rewritten.RLock()
	p, ok := rewritten.m[sql]
	rewritten.RUnlock()
	if !ok {
		var err error
		if p, err = a.rewrite(ctx, conn, sql, args); err != nil {
			return "", nil, err
		}
	}
	values := make([]any, len(p.names))
	for i, name := range p.names {
		if values[i], ok = a[name]; !ok {
			return pgx.StrictNamedArgs(a).RewriteQuery(ctx, conn, sql, args) // for its error
		}
	}
	if len(values) != len(a) {
		return pgx.StrictNamedArgs(a).RewriteQuery(ctx, conn, sql, args)
	}
	return p.sql, values, nil
}

// rewrite rewrites the statement by pgx, with each name as its own value, to learn the order of the names.
func (a Args) rewrite(ctx context.Context, conn *pgx.Conn, sql string, args []any) (positional, error) {
	self := pgx.StrictNamedArgs{}
	for name := range a {
		self[name] = name
	}
	text, order, err := self.RewriteQuery(ctx, conn, sql, args)
	if err != nil {
		return positional{}, err
	}
	p := positional{sql: text}
	for _, name := range order {
		p.names = append(p.names, name.(string))
	}
	rewritten.Lock()
	defer rewritten.Unlock()
	if rewritten.m == nil {
		rewritten.m = map[string]positional{}
	}
	rewritten.m[sql] = p
	return p, nil
}
