package postgres

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Args are pgx.StrictNamedArgs whose statement is taken apart once, and not at each call: the statements are constants.
type Args map[string]any

var _ pgx.QueryRewriter = Args(nil)

// positional is a statement with $1 for the first of names, and so on.
type positional struct {
	sql   string
	names []string
}

var rewritten struct {
	sync.RWMutex
	m map[string]positional
}

// RewriteQuery implements pgx.QueryRewriter. It refuses a name that is missing, and one that the statement lacks.
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

// rewrite has pgx do it, with each name as its own value.
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
