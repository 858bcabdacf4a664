package sessiontoken

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Columns are the columns of a [Row], in the order of its fields. s is game.session_by_token_as or game.session_by_id, which
// are the only access of the service's role to the session table.
const Columns = `s.id AS session_id, s.user_id::text AS session_user_id, s.created_at AS session_created_at,
       s.updated_at AS session_updated_at, s.expires_at, s.live, s.expires_in_seconds,
       coalesce(s.ip_address, '') AS ip_address, coalesce(s.user_agent, '') AS user_agent, s.impersonated`

// Row is a session as the database has it. Live and ExpiresInSeconds are by the database's clock.
type Row struct {
	ID               string `db:"session_id"`
	UserID           string `db:"session_user_id"`
	CreatedAt        Time   `db:"session_created_at"`
	UpdatedAt        Time   `db:"session_updated_at"`
	ExpiresAt        Time
	Live             bool
	ExpiresInSeconds int64
	IPAddress        string
	UserAgent        string
	Impersonated     bool
}

// Time is a time of better-auth's tables, where every column may be NULL. pgx reads into it directly; it would read a
// *time.Time through wrappers that it makes for each statement.
type Time struct {
	time.Time
	Valid bool // false: NULL
}

var _ pgtype.TimestamptzScanner = (*Time)(nil)

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *Time) ScanTimestamptz(v pgtype.Timestamptz) error {
	if v.InfinityModifier != pgtype.Finite {
		return errInfinite
	}
	*t = Time{v.Time, v.Valid}
	return nil
}

var errInfinite = errors.New("an infinite time, which the adapter should have bounded")

// Proto returns nil for NULL.
func (t Time) Proto() *timestamppb.Timestamp {
	if !t.Valid {
		return nil
	}
	return timestamppb.New(t.Time)
}

// Scan reads a row of exactly [Columns]. GetSession runs at every login and more, so it avoids the reflection of pgx's
// collectors. A test compares every field.
func Scan(row pgx.CollectableRow) (*Row, error) {
	r := &Row{}
	return r, row.Scan(r.Targets()...)
}

// Targets are where a row goes, in the order of [Columns].
func (r *Row) Targets() []any {
	return []any{
		&r.ID, &r.UserID, &r.CreatedAt, &r.UpdatedAt, &r.ExpiresAt, &r.Live, &r.ExpiresInSeconds, &r.IPAddress, &r.UserAgent, &r.Impersonated,
	}
}
