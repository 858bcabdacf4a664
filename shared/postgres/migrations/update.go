package migrations

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var inFunction = regexp.MustCompile(`^(?:SQL statement .*\n)?PL/pgSQL function ([^ ]+\([^)]*\))`)

// proveUpdate extends a session with the rights of the functions' owner, and undoes it. Triggers, rules and constraints of the web
// application are part of that, and no other statement of the proof meets them.
func (a adapter) proveUpdate(ctx context.Context, tx pgx.Tx) error {
	s, inner := a.Session, a.Session
	inner.alias = "one"
	later := fmt.Sprintf("greatest(%s, least(now() + interval '%d seconds', %s + interval '%d seconds'))",
		s.Time("expiresat"), a.Seconds(a.SessionWindow), s.Time("createdat"), a.Seconds(a.SessionCap))
	update := fmt.Sprintf("UPDATE %s AS s SET %s = %s WHERE %s = (SELECT %s FROM %s AS one LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)",
		s.Table(), s.Name("expiresat"), s.FromTZ("expiresat", later), s.ref("id"), inner.ref("id"), s.Table())
	use, err := tx.Begin(ctx) // its rollback also ends the role
	if err != nil {
		return err
	}
	defer func() { _ = use.Rollback(ctx) }()
	if a.OwnerName != "" {
		if err := become(ctx, use, a.Owner()); err != nil {
			return err
		}
	}
	_, err = use.Exec(ctx, update)
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code == "55P03" { // lock not available: Apply tries again
		return err
	}
	return a.refusedUpdate(e)
}

// refusedUpdate describes the error of an update. What the proof of game.extend_session says better is left to it. The message of
// a trigger or a constraint may quote values of a row.
func (a adapter) refusedUpdate(e *pgconn.PgError) error {
	m := inFunction.FindStringSubmatch(e.Where)
	constraint := strings.HasPrefix(e.Code, "23")
	if m == nil && !constraint {
		return nil
	}
	by := "the constraint " + e.ConstraintName
	if m != nil {
		by = fmt.Sprintf("the function %s of a trigger (SQLSTATE %s)", m[1], e.Code)
		if e.Code == "42501" {
			by += fmt.Sprintf(": %s, which the role %s lacks", e.Message, word(a.ownerName()))
		}
	}
	return fmt.Errorf("a later %s.%s, as RefreshSession writes it, is refused by %s; change it, or make a function that needs more rights SECURITY DEFINER",
		a.Session.Table(), a.Session.Name("expiresat"), by)
}

func (a adapter) ownerName() string {
	if a.OwnerName == "" {
		return "that migrates"
	}
	return a.OwnerName
}
