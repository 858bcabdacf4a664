package staff

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// Repository reads the database, and changes characters.
type Repository struct {
	db       *postgres.DB
	cache    *cache.Cache // invalidated after a change; never read
	sessions *sessiontoken.Reader
}

// NewRepository returns a Repository on db and c.
func NewRepository(db *postgres.DB, c *cache.Cache) *Repository {
	return &Repository{db: db, cache: c, sessions: sessiontoken.NewReader(db)}
}

const (
	// seenColumns are those of a characterRow. g is a character, which is deleted at gone_at.
	seenColumns = `
       g.id, g.user_id::text AS user_id, g.name, g.slot, g.level, g.job, g.money, g.version, g.play_seconds, g.created_at, g.last_played_at,
       g.delete_at, g.gone_at,
       EXISTS (SELECT FROM game.character AS c WHERE c.name_key = g.name_key AND c.id <> g.id AND ` + characterrules.Visible + `) AS name_taken,
       (SELECT count(*) FROM game.character AS c WHERE c.user_id = g.user_id AND ` + characterrules.Visible + `) AS there,
       EXISTS (SELECT FROM game.users AS u WHERE u.id = g.user_id) AS has_user`

	storedColumns = `c.id, c.user_id, c.name, c.name_key, c.slot, c.level, c.job, c.money, c.version, c.play_seconds, c.created_at, c.last_played_at, c.delete_at`

	goneAt = `coalesce(c.deleted_at, CASE WHEN c.delete_at <= now() THEN c.delete_at END)`

	selectCharacterSQL = `SELECT` + seenColumns + `
  FROM (SELECT ` + storedColumns + `, ` + goneAt + ` AS gone_at FROM game.character AS c WHERE c.id = @id) AS g`

	// Those that are there by the index on users, those that are gone by the index on when they went.
	selectCharactersSQL = `SELECT` + seenColumns + `
  FROM ((SELECT ` + storedColumns + `, ` + goneAt + ` AS gone_at FROM game.character AS c WHERE c.user_id = game.user_id(@user_id) AND c.deleted_at IS NULL)
         UNION ALL
        (SELECT ` + storedColumns + `, c.deleted_at AS gone_at FROM game.character AS c
          WHERE c.user_id = game.user_id(@user_id) AND c.deleted_at > now() - ` + forgottenAfter + `)) AS g
 ORDER BY g.gone_at IS NOT NULL, g.gone_at DESC, g.slot, g.id
 LIMIT 200`

	selectUserSQL = `SELECT u.id::text AS id, coalesce(u.username, '') AS username, coalesce(u.email, '') AS email, coalesce(u.role, '') AS role,
       coalesce(u.name, '') AS name, coalesce(u.display_username, '') AS display_username, coalesce(u.email_verified, false) AS email_verified,
       coalesce(u.image, '') AS image, game.ban_holds(u.banned, u.ban_expires_at, now()) AS banned, coalesce(u.ban_reason, '') AS ban_reason,
       u.ban_expires_at, u.created_at, u.updated_at
  FROM game.users AS u
 WHERE u.id = game.user_id(@user_id)`

	selectSessionsSQL = `SELECT ` + sessiontoken.Columns + ` FROM game.sessions_of(game.user_id(@user_id), 100) AS s`

	// Written before an answer has personal fields.
	auditReadSQL = `
INSERT INTO game.audit (who, action, user_id, reason)
VALUES (@who, 'GetPlayer', game.user_id(@user_id), @reason)`
)

type userRow struct {
	ID, Username, Email, Role, Name, DisplayUsername string
	EmailVerified                                    bool
	Image                                            string
	Banned                                           bool
	BanReason                                        string
	BanExpiresAt, CreatedAt, UpdatedAt               sessiontoken.Time
}

func (r *userRow) proto() *databasev1.User {
	return &databasev1.User{
		Id: r.ID, Username: r.Username, Email: r.Email, Role: r.Role, Name: r.Name, DisplayUsername: r.DisplayUsername,
		EmailVerified: r.EmailVerified, Image: r.Image, Banned: r.Banned, BanReason: r.BanReason,
		BanExpiresAt: r.BanExpiresAt.Proto(), CreatedAt: r.CreatedAt.Proto(), UpdatedAt: r.UpdatedAt.Proto(),
	}
}

type characterRow struct {
	ID                             int64
	UserID, Name                   string
	Slot, Level, Job               int32
	Money, Version, PlaySeconds    int64
	CreatedAt                      time.Time
	LastPlayedAt, DeleteAt, GoneAt *time.Time
	NameTaken                      bool
	There                          int64 // characters of its user
	HasUser                        bool
}

func (r *characterRow) proto(slots int32) *databasev1.PlayerCharacter {
	c := &databasev1.PlayerCharacter{
		Id: r.ID, Name: r.Name, Slot: r.Slot, Level: r.Level, Job: r.Job, Money: r.Money, Version: r.Version, PlaySeconds: r.PlaySeconds,
		State: stateOf(r.GoneAt != nil, r.DeleteAt != nil), CreatedAt: timestamppb.New(r.CreatedAt), LastPlayedAt: timeOf(r.LastPlayedAt),
	}
	if r.GoneAt == nil {
		c.DeleteAt = timeOf(r.DeleteAt)
		if r.DeleteAt != nil {
			c.Recovery = databasev1.Recovery_RECOVERY_RESTORE
		}
		return c
	}
	c.DeletedAt, c.ForgottenAt = timeOf(r.GoneAt), timestamppb.New(r.GoneAt.AddDate(0, 0, 30))
	switch {
	case !r.HasUser:
		c.Recovery = databasev1.Recovery_RECOVERY_USER_REMOVED
	case r.There >= int64(slots):
		c.Recovery = databasev1.Recovery_RECOVERY_NO_FREE_SLOT
	case r.NameTaken:
		c.Recovery = databasev1.Recovery_RECOVERY_NAME_TAKEN
	default:
		c.Recovery = databasev1.Recovery_RECOVERY_UNDELETE
	}
	return c
}

func timeOf(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// Player returns what a player has. With a reason it returns personal fields too, after it has written the audit.
func (r *Repository) Player(ctx context.Context, id, reason string, slots int32) (*databasev1.GetPlayerResponse, error) {
	args := postgres.Args{"user_id": id}
	user, err := postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[userRow], selectUserSQL, args)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	rows, err := postgres.QueryAll(ctx, r.db, pgx.RowToAddrOfStructByName[characterRow], selectCharactersSQL, args)
	if err != nil {
		return nil, err
	}
	if user == nil && len(rows) == 0 {
		return nil, errUserNotFound
	}
	sessions, err := postgres.QueryAll(ctx, r.db, sessiontoken.Scan, selectSessionsSQL, args)
	if err != nil {
		return nil, err
	}
	if reason != "" {
		if err := r.auditRead(ctx, id, reason); err != nil {
			return nil, err
		}
	}
	answer := &databasev1.GetPlayerResponse{MaxSlots: slots}
	if user != nil {
		answer.User = user.proto()
	}
	for _, row := range rows {
		answer.Characters = append(answer.Characters, row.proto(slots))
	}
	for _, s := range sessions {
		answer.Sessions = append(answer.Sessions, sessionOf(s))
	}
	if reason == "" {
		hidePersonal(answer)
	}
	return answer, nil
}

func (r *Repository) auditRead(ctx context.Context, id, reason string) error {
	return r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, auditReadSQL, postgres.Args{"who": rpcserver.Who(ctx), "user_id": id, "reason": reason})
		return err
	})
}

func sessionOf(s *sessiontoken.Row) *databasev1.Session {
	return &databasev1.Session{
		Id: s.ID, UserId: s.UserID, CreatedAt: s.CreatedAt.Proto(), UpdatedAt: s.UpdatedAt.Proto(), ExpiresAt: s.ExpiresAt.Proto(),
		ExpiresInSeconds: s.ExpiresInSeconds, IpAddress: s.IPAddress, UserAgent: s.UserAgent, Impersonated: s.Impersonated,
	}
}

func hidePersonal(p *databasev1.GetPlayerResponse) {
	if p.User != nil {
		p.User.Email, p.User.BanReason = "", ""
	}
	for _, s := range p.Sessions {
		s.IpAddress, s.UserAgent = "", ""
	}
}

// character returns a character as it is now.
func (r *Repository) character(ctx context.Context, id int64, slots int32) (*databasev1.PlayerCharacter, error) {
	row, err := postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[characterRow], selectCharacterSQL, postgres.Args{"id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, err
	}
	return row.proto(slots), nil
}
