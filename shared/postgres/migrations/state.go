package migrations

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres"
)

// state is the state of a database's migrations.
type state struct {
	own      postgres.Schema
	version  int    // of the numbered migrations; 0: no schema
	adapter  int    // version of the adapter
	hash     string // of the adapter's SQL
	print    string // fingerprint of better-auth's tables when the adapter was created
	schema   string // of better-auth's tables then
	role     string // with the rights
	view     bool   // game.users exists
	owner    string // of game.users
	triggers int    // number of the service's enabled triggers on the user table
	logged   bool   // the last run was to add triggers
	names    string // of better-auth's tables and columns, JSON
	Settings        // of the last run; those that its program did not know are empty
}

const (
	hasSchemaSQL = `SELECT to_regclass('game.adapter') IS NOT NULL`
	stateSQL     = `
SELECT coalesce((SELECT max(version) FROM game.migration), 0) AS version,
       coalesce(a.version, 0) AS adapter,
       coalesce(a.sql_hash, '') AS hash,
       coalesce(a.fingerprint, '') AS print,
       coalesce(a.auth_schema, '') AS schema,
       coalesce(a.role, '') AS role,
       to_regclass('game.users') IS NOT NULL AS view,
       coalesce((SELECT pg_get_userbyid(v.relowner) FROM pg_class AS v WHERE v.oid = to_regclass('game.users')), '') AS owner,
       (SELECT count(*) FROM pg_trigger AS t
          JOIN pg_class AS c ON c.oid = t.tgrelid
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE '"' || replace(n.nspname, '"', '""') || '"."' || replace(c.relname, '"', '""') || '"' = a.user_table
           AND t.tgfoid IN (to_regprocedure('game.log_user_change()'), to_regprocedure('game.log_truncate()'))
           AND t.tgenabled IN ('O', 'A')) AS triggers,
       coalesce(a.user_trigger, false) AS logged,
       -- An older adapter does not have these columns.
       coalesce(to_jsonb(a) ->> 'names', '') AS names,
       coalesce(to_jsonb(a) ->> 'username_normalization', '') AS username_normalization,
       coalesce(to_jsonb(a) ->> 'session_token', '') AS session_token,
       coalesce((to_jsonb(a) ->> 'session_window_seconds')::bigint, 0) AS session_window,
       coalesce((to_jsonb(a) ->> 'session_cap_seconds')::bigint, 0) AS session_cap,
       coalesce((to_jsonb(a) ->> 'session_min_gain_seconds')::bigint, 0) AS session_min_gain
  FROM (VALUES (1)) AS one
  LEFT JOIN game.adapter AS a ON true`
)

func currentState(ctx context.Context, q Querier, own postgres.Schema) (state, error) {
	rows, err := q.Query(ctx, own.In(hasSchemaSQL))
	if err != nil {
		return state{}, err
	}
	has, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err != nil || !has {
		return state{own: own}, err
	}
	if rows, err = q.Query(ctx, own.In(stateSQL)); err != nil {
		return state{}, err
	}
	return pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (s state, err error) {
		s.own = own
		var window, limit, gain time.Duration // in seconds
		err = row.Scan(&s.version, &s.adapter, &s.hash, &s.print, &s.schema, &s.role, &s.view, &s.owner, &s.triggers, &s.logged, &s.names,
			&s.UsernameNormalization, &s.SessionToken, &window, &limit, &gain)
		s.SessionWindow, s.SessionCap, s.SessionMinGain = window*time.Second, limit*time.Second, gain*time.Second
		return s, err
	})
}
