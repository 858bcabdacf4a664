package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
)

// minGain is the least extension that is worth a write.
const minGain = 5 * time.Minute

// Repository reads and extends sessions through the functions that are the role's only protocol to their table.
type Repository struct {
	db *postgres.DB
}

// NewRepository returns a Repository on db, whose statements are urgent.
func NewRepository(db *postgres.DB) *Repository { return &Repository{db: db.Urgent()} }

// Statements of one argument have it by position.
const (
	columns = `s.id, s.user_id::text AS user_id, s.created_at, s.updated_at, s.expires_at, s.live, s.expires_in_seconds,
       coalesce(s.ip_address, '') AS ip_address, coalesce(s.user_agent, '') AS user_agent, s.impersonated`

	selectByTokenSQL = `SELECT ` + columns + `
  FROM game.session_by_token($1) AS s`

	selectByIDSQL = `SELECT ` + columns + `
  FROM game.session_by_id($1) AS s`

	banColumns = `,
       coalesce(u.banned AND coalesce(u.ban_expires_at > now(), true), false) AS banned, now() AS now`

	selectWithBanByTokenSQL = `SELECT ` + columns + banColumns + `
  FROM game.session_by_token($1) AS s
  JOIN game.users AS u ON u.id = s.user_id`

	selectWithBanByIDSQL = `SELECT ` + columns + banColumns + `
  FROM game.session_by_id($1) AS s
  JOIN game.users AS u ON u.id = s.user_id`

	extendSQL = `SELECT expires_at, expires_in_seconds
  FROM game.extend_session(@id, @window, @cap, @min_gain)`
)

type sessionRow struct {
	ID               string
	UserID           string
	CreatedAt        time.Time
	UpdatedAt        time.Time
	ExpiresAt        time.Time
	Live             bool
	ExpiresInSeconds int64
	IPAddress        string
	UserAgent        string
	Impersonated     bool
}

type sessionBanRow struct {
	sessionRow
	Banned bool
	Now    time.Time
}

// scanSession reads columns in their order. This statement is the whole of GetSession, asked at every login and more, so
// it does without the reflection of pgx's collectors; a test compares every field.
func scanSession(row pgx.CollectableRow) (*sessionRow, error) {
	r := &sessionRow{}
	return r, row.Scan(&r.ID, &r.UserID, &r.CreatedAt, &r.UpdatedAt, &r.ExpiresAt, &r.Live, &r.ExpiresInSeconds,
		&r.IPAddress, &r.UserAgent, &r.Impersonated)
}

func (r *sessionRow) proto() *databasev1.Session {
	return &databasev1.Session{
		Id: r.ID, UserId: r.UserID, CreatedAt: timestamppb.New(r.CreatedAt), UpdatedAt: timestamppb.New(r.UpdatedAt),
		ExpiresAt: timestamppb.New(r.ExpiresAt), ExpiresInSeconds: r.ExpiresInSeconds,
		IpAddress: r.IPAddress, UserAgent: r.UserAgent, Impersonated: r.Impersonated,
	}
}

// ByKey returns the session, which is live.
func (r *Repository) ByKey(ctx context.Context, k Key) (*sessionRow, error) {
	row, err := selectByKey(ctx, r.db, k, scanSession, selectByTokenSQL, selectByIDSQL)
	if err != nil {
		return nil, err
	}
	if !row.Live {
		return nil, errExpired
	}
	return row, nil
}

// Extend moves the expiry of a live session to now + window, at most limit after its creation, and returns the session
// as it is then. It does nothing where that gains less than five minutes.
func (r *Repository) Extend(ctx context.Context, k Key, window, limit time.Duration) (*sessionRow, bool, error) {
	row, err := r.extendable(ctx, k)
	if err != nil {
		return nil, false, err
	}
	target := row.Now.Add(window)
	if latest := row.CreatedAt.Add(limit); latest.Before(target) {
		target = latest
	}
	if target.Sub(row.ExpiresAt) < minGain {
		return &row.sessionRow, false, nil
	}
	extended, err := r.extend(ctx, row, window, limit)
	if err == nil && !extended {
		// Extended, revoked or about to expire since it was read, by somebody whose lock this may have waited for.
		row, err = r.extendable(ctx, k)
	}
	if err != nil {
		return nil, false, err
	}
	return &row.sessionRow, extended, nil
}

// extendable returns the session, which is live and of the kind that may be extended.
func (r *Repository) extendable(ctx context.Context, k Key) (*sessionBanRow, error) {
	row, err := selectByKey(ctx, r.db, k, pgx.RowToAddrOfStructByName[sessionBanRow], selectWithBanByTokenSQL, selectWithBanByIDSQL)
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

// extend writes, and puts the new expiry into row; the function in the database weighs everything again on the locked
// row, and it is false where that came out otherwise.
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
	if err != nil {
		return false, err
	}
	row.ExpiresAt, row.ExpiresInSeconds = e.ExpiresAt, e.ExpiresInSeconds
	return true, nil
}

func selectByKey[T any](ctx context.Context, db *postgres.DB, k Key, fn pgx.RowToFunc[*T], byToken, byID string) (*T, error) {
	sql, session := byToken, k.Token
	if k.ID != "" {
		sql, session = byID, k.ID
	}
	row, err := postgres.QueryOne(ctx, db, fn, sql, session)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "OS001" { // the adapter's, where ids are serial numbers
		return nil, errIDRefused
	}
	return row, err
}
