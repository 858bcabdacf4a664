package sessiontoken

import (
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Columns are the columns of a [Row], in the order of its fields. s is game.session_by_token_as or game.session_by_id, which
// are the only access of the service's role to the session table.
const Columns = `s.id AS session_id, s.user_id::text AS session_user_id, s.created_at AS session_created_at,
       s.updated_at AS session_updated_at, s.expires_at, s.live, s.expires_in_seconds,
       coalesce(s.ip_address, '') AS ip_address, coalesce(s.user_agent, '') AS user_agent, s.impersonated`

// Row is a session as the database has it. Live and ExpiresInSeconds are by the database's clock.
type Row struct {
	ID               string     `db:"session_id"`
	UserID           string     `db:"session_user_id"`
	CreatedAt        *time.Time `db:"session_created_at"`
	UpdatedAt        *time.Time `db:"session_updated_at"`
	ExpiresAt        time.Time
	Live             bool
	ExpiresInSeconds int64
	IPAddress        string
	UserAgent        string
	Impersonated     bool
}

// Timestamp converts a time of better-auth's tables, where every column may be NULL.
func Timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Scan reads a row of exactly [Columns]. GetSession runs at every login and more, so it avoids the reflection of pgx's
// collectors. A test compares every field.
func Scan(row pgx.CollectableRow) (*Row, error) {
	r := &Row{}
	return r, row.Scan(&r.ID, &r.UserID, &r.CreatedAt, &r.UpdatedAt, &r.ExpiresAt, &r.Live, &r.ExpiresInSeconds,
		&r.IPAddress, &r.UserAgent, &r.Impersonated)
}
