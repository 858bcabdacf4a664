package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// state is the state of a database's migrations.
type state struct {
	version  int    // of the numbered migrations; 0: no schema
	adapter  int    // version of the adapter
	hash     string // of the adapter's SQL
	print    string // fingerprint of better-auth's tables when the adapter was created
	schema   string // of better-auth's tables then
	role     string // with the rights
	view     bool   // game.users exists
	triggers int    // number of the service's enabled triggers on the user table
	logged   bool   // the last run was to add triggers
	names    string // of better-auth's tables and columns, JSON
}

const (
	hasSchemaSQL = `SELECT to_regclass('game.adapter') IS NOT NULL`
	stateSQL     = `
SELECT (SELECT max(version) FROM game.migration) AS version,
       coalesce(a.version, 0) AS adapter,
       coalesce(a.sql_hash, '') AS hash,
       coalesce(a.fingerprint, '') AS print,
       coalesce(a.auth_schema, '') AS schema,
       coalesce(a.role, '') AS role,
       to_regclass('game.users') IS NOT NULL AS view,
       (SELECT count(*) FROM pg_trigger AS t
          JOIN pg_class AS c ON c.oid = t.tgrelid
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE '"' || n.nspname || '"."' || c.relname || '"' = a.user_table
           AND t.tgname IN ('database_service_log_change', 'database_service_log_truncate')
           AND t.tgenabled IN ('O', 'A')) AS triggers,
       coalesce(a.user_trigger, false) AS logged,
       coalesce(to_jsonb(a) ->> 'names', '') AS names -- an older adapter has no such column
  FROM (VALUES (1)) AS one
  LEFT JOIN game.adapter AS a ON true`
)

func currentState(ctx context.Context, q Querier) (state, error) {
	rows, err := q.Query(ctx, hasSchemaSQL)
	if err != nil {
		return state{}, err
	}
	has, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err != nil || !has {
		return state{}, err
	}
	if rows, err = q.Query(ctx, stateSQL); err != nil {
		return state{}, err
	}
	return pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (s state, err error) {
		err = row.Scan(&s.version, &s.adapter, &s.hash, &s.print, &s.schema, &s.role, &s.view, &s.triggers, &s.logged, &s.names)
		return s, err
	})
}

// ErrSchema is in every error of [Check] that a run of the migration fixes.
var ErrSchema = errors.New("run the migration")

// Status is the result of [Check] for a database that fits.
type Status struct {
	UserTrigger bool // changes of users are logged; otherwise users are cached for at most 10 s
}

// Check reports whether the database fits this program: it has all of the program's migrations, and the adapter fits
// better-auth's tables as they are now. The service's rights are enough for it.
func Check(ctx context.Context, q Querier) (Status, error) {
	at, err := currentState(ctx, q)
	if err != nil {
		return Status{}, err
	}
	numbered, err := numberedFiles()
	if err != nil {
		return Status{}, err
	}
	switch {
	case at.version == 0:
		return Status{}, fmt.Errorf("schema game is missing: %w", ErrSchema)
	case at.version < len(numbered):
		return Status{}, fmt.Errorf("schema game is at version %d, this program needs %d: %w", at.version, len(numbered), ErrSchema)
	case at.adapter < adapterVersion || !at.view:
		return Status{}, fmt.Errorf("the adapter to better-auth's tables is missing or old: %w", ErrSchema)
	case at.logged && at.triggers != 2:
		return Status{}, fmt.Errorf("the triggers on better-auth's user table are gone: %w", ErrSchema)
	}
	auth, err := findAuth(ctx, q, at.schema, Names{}.or(at.names))
	if err != nil {
		return Status{}, err
	}
	if auth.fingerprint() != at.print {
		return Status{}, fmt.Errorf("better-auth's tables have changed: %w", ErrSchema)
	}
	return Status{UserTrigger: at.logged}, nil
}
