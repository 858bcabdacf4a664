package sessions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// minGain is the smallest extension that is worth a write.
const minGain = 5 * time.Minute

// Repository reads and extends sessions through database functions. They are the role's only access to the session
// table.
type Repository struct {
	db     *postgres.DB
	reader *sessiontoken.Reader
}

// NewRepository returns a Repository on db. Its statements are urgent.
func NewRepository(db *postgres.DB) *Repository {
	return &Repository{db: db.Urgent(), reader: sessiontoken.NewReader(db)}
}

// The key of a session is taken by position; see sessiontoken.Select.
const (
	selectByTokenSQL = `SELECT ` + sessiontoken.Columns + `
  FROM game.session_by_token_as($1, $2) AS s`

	selectByIDSQL = `SELECT ` + sessiontoken.Columns + `
  FROM game.session_by_id($1) AS s`

	banColumns = `,
       game.ban_holds(u.banned, u.ban_expires_at, now()) AS banned, now() AS now`

	selectWithBanByTokenSQL = `SELECT ` + sessiontoken.Columns + banColumns + `
  FROM game.session_by_token_as($1, $2) AS s
  JOIN game.users AS u ON u.id = s.user_id`

	selectWithBanByIDSQL = `SELECT ` + sessiontoken.Columns + banColumns + `
  FROM game.session_by_id($1) AS s
  JOIN game.users AS u ON u.id = s.user_id`

	extendSQL = `SELECT expires_at, expires_in_seconds
  FROM game.extend_session(@id, @window, @cap, @min_gain)`
)

type sessionBanRow struct {
	sessiontoken.Row
	Banned bool
	Now    time.Time
}

func proto(r *sessiontoken.Row) *databasev1.Session {
	return &databasev1.Session{
		Id: r.ID, UserId: r.UserID, CreatedAt: r.CreatedAt.Proto(), UpdatedAt: r.UpdatedAt.Proto(),
		ExpiresAt: r.ExpiresAt.Proto(), ExpiresInSeconds: r.ExpiresInSeconds,
		IpAddress: r.IPAddress, UserAgent: r.UserAgent, Impersonated: r.Impersonated,
	}
}

// ByKey returns the session if it is live.
func (r *Repository) ByKey(ctx context.Context, k sessiontoken.Key) (*sessiontoken.Row, error) {
	row, err := sessiontoken.Select(ctx, r.reader, k, sessiontoken.Scan, selectByTokenSQL, selectByIDSQL)
	if err != nil {
		return nil, err
	}
	if !row.Live {
		return nil, errExpired
	}
	return row, nil
}

// Extend moves the expiry of a live session to now + window, but at most to limit after its creation. It returns the
// session afterwards, and whether the expiry was moved. It does nothing if that gains less than five minutes.
func (r *Repository) Extend(ctx context.Context, k sessiontoken.Key, window, limit time.Duration) (*sessiontoken.Row, bool, error) {
	row, err := r.extendable(ctx, k)
	if err != nil {
		return nil, false, err
	}
	if !row.CreatedAt.Valid { // so the limit is unknown
		return &row.Row, false, nil
	}
	target := row.Now.Add(window)
	if latest := row.CreatedAt.Add(limit); latest.Before(target) {
		target = latest
	}
	if target.Sub(row.ExpiresAt.Time) < minGain {
		return &row.Row, false, nil
	}
	extended, err := r.extend(ctx, row, window, limit)
	if err == nil && !extended {
		// After the read, another process has extended or revoked the session, or it is about to expire.
		row, err = r.extendable(ctx, k)
	}
	if err != nil {
		return nil, false, err
	}
	return &row.Row, extended, nil
}

// extendable returns the session if it may be extended: it is live and not impersonated, and its user is not banned.
func (r *Repository) extendable(ctx context.Context, k sessiontoken.Key) (*sessionBanRow, error) {
	row, err := sessiontoken.Select(ctx, r.reader, k, pgx.RowToAddrOfStructByName[sessionBanRow], selectWithBanByTokenSQL, selectWithBanByIDSQL)
	switch {
	case err != nil:
		return nil, err
	case !row.Live:
		return nil, errExpired
	case row.Banned:
		return nil, errBanned
	case row.Impersonated:
		return nil, errImpersonated
	}
	return row, nil
}

// extend writes, and puts the new expiry into row. The function in the database checks everything again on the locked row;
// extend returns false if a check fails there.
func (r *Repository) extend(ctx context.Context, row *sessionBanRow, window, limit time.Duration) (bool, error) {
	type extension struct {
		ExpiresAt        time.Time
		ExpiresInSeconds int64
	}
	var e extension
	err := r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		rows, err := q.Query(ctx, extendSQL, postgres.Args{"id": row.ID, "window": window, "cap": limit, "min_gain": minGain})
		if err != nil {
			return err
		}
		e, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[extension])
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(e.Code, "23") { // a constraint of the web application
		err = fmt.Errorf("%w: %w", postgres.ErrMisconfigured, err)
	}
	if err != nil {
		return false, err
	}
	row.ExpiresAt.Time, row.ExpiresInSeconds = e.ExpiresAt, e.ExpiresInSeconds
	return true, nil
}
