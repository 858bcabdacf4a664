package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// prove uses the adapter once, as the service does, against an existing row if there is one. CREATE VIEW and CREATE
// FUNCTION do not check that their owner may read the tables, and row-level security hides rows without an error.
func (a adapter) prove(ctx context.Context, tx pgx.Tx) error {
	if err := a.proveVisible(ctx, tx); err != nil {
		return err
	}
	if err := a.proveUpdate(ctx, tx); err != nil {
		return err
	}
	token, id, err := a.sampleSession(ctx, tx)
	if err != nil {
		return err
	}
	use, err := tx.Begin(ctx) // its rollback also ends the role
	if err != nil {
		return err
	}
	defer func() { _ = use.Rollback(ctx) }()
	if err := become(ctx, use, a.Role); err != nil {
		return err
	}
	if err := a.proveUsers(ctx, use); err != nil {
		return err
	}
	return a.proveSessions(ctx, use, token, id)
}

// become takes a role. Without the right to do that, the proof runs as the current role. That proves almost
// as much: the view and the functions read the tables with the rights of their owner.
func become(ctx context.Context, tx pgx.Tx, role string) error {
	attempt, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := attempt.Exec(ctx, "SET LOCAL ROLE "+role); err != nil {
		return attempt.Rollback(ctx)
	}
	return attempt.Commit(ctx)
}

// sampleSession returns the token and id of a session, or empty strings.
func (a adapter) sampleSession(ctx context.Context, tx pgx.Tx) (token, id string, err error) {
	s := a.Session
	err = tx.QueryRow(ctx, fmt.Sprintf("SELECT s.%s::text, s.%s::text FROM %s AS s LIMIT 1", s.Name("token"), s.Name("id"), s.Table())).Scan(&token, &id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", "", nil
	case err != nil:
		return "", "", fmt.Errorf("the session table cannot be read: %w", reason(err))
	}
	return token, id, nil
}

// foundSQL looks one user up as the service does.
const foundSQL = `
SELECT EXISTS (SELECT FROM game.users AS u WHERE u.id = game.user_id(one.id)),
       one.login IS NULL OR EXISTS (SELECT FROM game.users AS u WHERE game.login_matches(u.login_key, one.login, one.login, one.login)),
       one.email IS NULL OR EXISTS (SELECT FROM game.users AS u WHERE game.email_is(u.email_key, one.email))
  FROM (SELECT u.id::text AS id, u.login, u.email FROM game.users AS u LIMIT 1) AS one`

func (a adapter) proveUsers(ctx context.Context, tx pgx.Tx) error {
	if err := attempt(ctx, tx, a.own.In("SELECT * FROM game.users LIMIT 1")); err != nil {
		return fmt.Errorf("the view %s.users cannot be read%s: %w", a.own, a.failingColumn(ctx, tx), reason(err))
	}
	var byID, byLogin, byEmail bool
	err := tx.QueryRow(ctx, a.own.In(foundSQL)).Scan(&byID, &byLogin, &byEmail)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil // no users
	case err != nil:
		return fmt.Errorf("a user cannot be looked up: %w", reason(err))
	case !byID:
		return fmt.Errorf("a user cannot be found by its own id: the id is not in a form that %s.user_id accepts", a.own)
	case !byLogin:
		return errors.New("a user cannot be found by its own username")
	case !byEmail:
		return errors.New("a user cannot be found by its own e-mail")
	}
	return nil
}

// failingColumn names the column of the user table that the owner of the view may not read, if it may read others. A view
// needs the right to read all of its columns, even if a statement reads one.
func (a adapter) failingColumn(ctx context.Context, tx pgx.Tx) string {
	var allowed int
	var refused string
	for _, field := range userFields {
		c, ok := a.User.columns[field]
		if !ok {
			continue
		}
		var may bool
		err := tx.QueryRow(ctx, a.own.In(`SELECT has_column_privilege(v.relowner, $1, $2, 'SELECT') FROM pg_class AS v WHERE v.oid = 'game.users'::regclass`),
			a.User.Table(), c.name).Scan(&may)
		switch {
		case err != nil:
			return ""
		case may:
			allowed++
		case refused == "":
			refused = " (column " + a.User.Name(field) + ")"
		}
	}
	if allowed == 0 {
		return ""
	}
	return refused
}

// proveSessions calls the three functions. A window of nothing extends no session.
func (a adapter) proveSessions(ctx context.Context, tx pgx.Tx, token, id string) error {
	for _, call := range []struct {
		name, sql string
		arg       string
	}{
		{"session_by_token_as", "SELECT s.* FROM game.adapter AS a, game.session_by_token_as($1, a.session_token = 'sha256') AS s", token},
		{"session_by_id", "SELECT * FROM game.session_by_id($1)", id},
		{"extend_session", "SELECT * FROM game.extend_session($1, interval '0', interval '0', interval '1 hour')", id},
	} {
		err := attempt(ctx, tx, a.own.In(call.sql), call.arg)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "OS001" {
			continue // session ids are serial numbers
		}
		if err != nil {
			return fmt.Errorf("the function %s.%s fails: %w", a.own, call.name, reason(err))
		}
	}
	return nil
}

// attempt runs a statement so that its error leaves the transaction usable.
func attempt(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = inner.Exec(ctx, sql, args...)
	if rollback := inner.Rollback(ctx); err == nil {
		err = rollback
	}
	return err
}

// reason keeps the message of a missing right or object. Other messages may quote values of a row.
func reason(err error) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return err
	case e.Code == "42501":
		return errors.New(e.Message + ": grant the role that runs the migration SELECT on the user table, and SELECT and UPDATE on the session table")
	case strings.HasPrefix(e.Code, "42"):
		return errors.New(e.Message)
	case e.Code == "0A000" || e.Code == "55000": // a view or a rule that cannot do it
		return errors.New(e.Message + ": what stands in place of better-auth's table must be a table, or a view that can be locked and updated")
	}
	return fmt.Errorf("SQLSTATE %s", e.Code)
}
