package users

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/jscase"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// unloggedTTL bounds the staleness of users if the user table has no triggers that log changes.
const unloggedTTL = 10 * time.Second

// Repository reads users through the cache. It never caches sessions.
type Repository struct {
	db       *postgres.DB
	sessions *sessiontoken.Reader
	cache    *cache.Cache
	users    *cache.Kind
}

// NewRepository returns a Repository on db and c.
func NewRepository(db *postgres.DB, c *cache.Cache) *Repository {
	r := &Repository{db: db, sessions: sessiontoken.NewReader(db), cache: c}
	r.users = c.Kind("user:", cache.Fingerprint(selectUserSQL, (*databasev1.User)(nil)), r.load).InProcess(decode)
	return r
}

const (
	userColumns = `
       u.id::text AS id, coalesce(u.username, '') AS username, coalesce(u.email, '') AS email,
       coalesce(u.role, '') AS role, coalesce(u.name, '') AS name, coalesce(u.display_username, '') AS display_username,
       coalesce(u.email_verified, false) AS email_verified, coalesce(u.image, '') AS image,
       coalesce(u.banned, false) AS banned, coalesce(u.ban_reason, '') AS ban_reason, u.ban_expires_at,
       u.created_at AS created_at, u.updated_at AS updated_at, u.change_logged, now() AS now`

	selectUserSQL = `SELECT` + userColumns + `
  FROM game.users AS u
 WHERE u.id = game.user_id(@id)`

	// The login is the username, which is unique. Without the username plugin it is the name, which need not be unique.
	selectUserByLoginSQL = `SELECT` + userColumns + `, u.login_form
  FROM game.users AS u
 WHERE game.login_matches(u.login_key, @typed, @lower, @upper)
 LIMIT 2`

	selectUserByEmailSQL = `SELECT` + userColumns + `, u.login_form
  FROM game.users AS u
 WHERE game.email_is(u.email_key, @email)`
)

// userRow is a user as stored: Banned does not consider BanExpiresAt.
type userRow struct {
	ID              string
	Username        string
	Email           string
	Role            string
	Name            string
	DisplayUsername string
	EmailVerified   bool
	Image           string
	Banned          bool
	BanReason       string
	BanExpiresAt    sessiontoken.Time
	CreatedAt       sessiontoken.Time
	UpdatedAt       sessiontoken.Time
	ChangeLogged    bool
	Now             sessiontoken.Time
}

// targets are where a row goes, in the order of userColumns.
func (r *userRow) targets() []any {
	return []any{
		&r.ID, &r.Username, &r.Email, &r.Role, &r.Name, &r.DisplayUsername, &r.EmailVerified, &r.Image,
		&r.Banned, &r.BanReason, &r.BanExpiresAt, &r.CreatedAt, &r.UpdatedAt, &r.ChangeLogged, &r.Now,
	}
}

func (r *userRow) proto() *databasev1.User {
	return &databasev1.User{
		Id: r.ID, Username: r.Username, Email: r.Email, Role: r.Role, Name: r.Name, DisplayUsername: r.DisplayUsername,
		EmailVerified: r.EmailVerified, Image: r.Image, Banned: r.Banned, BanReason: r.BanReason,
		BanExpiresAt: r.BanExpiresAt.Proto(), CreatedAt: r.CreatedAt.Proto(), UpdatedAt: r.UpdatedAt.Proto(),
	}
}

// weighBan returns u, or a copy that is not banned if the ban has ended at now, the database's clock. It is the same rule as
// game.ban_holds.
func weighBan(u *databasev1.User, now time.Time) *databasev1.User {
	if !u.Banned || u.BanExpiresAt == nil || u.BanExpiresAt.AsTime().After(now) {
		return u
	}
	u = proto.CloneOf(u)
	u.Banned = false
	return u
}

// ByID returns the user, at most 1 s old.
func (r *Repository) ByID(ctx context.Context, id string) (*databasev1.User, error) {
	e, err := r.users.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	value := e.Value
	if value == nil {
		if value, err = decode(e.Bytes); err != nil {
			return nil, err
		}
	}
	return weighBan(value.(*databasev1.User), e.Now), nil
}

// decode returns a *databasev1.User, which must not be changed: many requests may have it.
func decode(b []byte) (any, error) {
	u := &databasev1.User{}
	return u, proto.Unmarshal(b, u)
}

func (r *Repository) load(ctx context.Context, id string) (cache.Entry, error) {
	row, err := postgres.QueryOne(ctx, r.db, pgx.RowToStructByName[userRow], selectUserSQL, postgres.Args{"id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return cache.Entry{}, errNotFound
	}
	if err != nil {
		return cache.Entry{}, err
	}
	b, err := proto.Marshal(row.proto())
	e := cache.Entry{Bytes: b, Now: row.Now.Time}
	if !row.ChangeLogged {
		e.TTL = unloggedTTL
	}
	return e, err
}

// ByUsername returns the user with the username in the form that better-auth stores: in lower case, in upper case, or as
// it is. The database knows which; a migration sets it.
func (r *Repository) ByUsername(ctx context.Context, username string) (*databasev1.User, error) {
	small, large := jscase.Lower(username), jscase.Upper(username)
	bears := func(u *databasev1.User, form string) bool {
		switch form {
		case "lower":
			return u.Username == small
		case "upper":
			return u.Username == large
		}
		return form == "none" && u.Username == username
	}
	args := postgres.Args{"typed": username, "lower": small, "upper": large}
	return r.byPointer(ctx, "user:username:", small, bears, selectUserByLoginSQL, args)
}

// ByEmail returns the user with the e-mail. better-auth stores it in lower case, always. Redis never contains it.
func (r *Repository) ByEmail(ctx context.Context, email string) (*databasev1.User, error) {
	email = jscase.Lower(email)
	has := func(u *databasev1.User, _ string) bool { return u.Email == email }
	return r.byPointer(ctx, "user:email:", email, has, selectUserByEmailSQL, postgres.Args{"email": email})
}

// namedRow is a user who was found by a name. LoginForm is the form in which usernames are stored.
type namedRow struct {
	userRow
	LoginForm string
}

// byPointer follows a cached pointer, form:id, from a name to a user. The pointer is only a hint, because a name can move
// to another user: if its user does not fit the name in that form, byPointer asks the database. A migration that changes
// the form also changes the keys of all pointers.
func (r *Repository) byPointer(ctx context.Context, prefix, name string, fits func(u *databasev1.User, form string) bool, sql string, args postgres.Args) (*databasev1.User, error) {
	pointer, redisErr := r.cache.Pointer(ctx, prefix, name)
	if form, id, ok := strings.Cut(pointer, ":"); ok {
		u, err := r.ByID(ctx, id)
		if err == nil && fits(u, form) {
			return u, nil
		}
		if err != nil && !errors.Is(err, errNotFound) {
			return nil, err
		}
	}
	rows, err := postgres.QueryAll(ctx, r.db, pgx.RowToStructByName[namedRow], sql, args)
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errNotFound
	case len(rows) > 1:
		return nil, errAmbiguous
	}
	u := rows[0].proto()
	if redisErr == nil && fits(u, rows[0].LoginForm) { // no pointer from a name that replaces the username: it may become ambiguous
		r.cache.SetPointer(ctx, prefix, name, rows[0].LoginForm+":"+u.Id)
	}
	return weighBan(u, rows[0].Now.Time), nil
}

const (
	selectUserBySessionTokenSQL = `SELECT` + userColumns + `,
       ` + sessiontoken.Columns + `
  FROM game.session_by_token_as($1, $2) AS s
  JOIN game.users AS u ON u.id = s.user_id`

	selectUserBySessionIDSQL = `SELECT` + userColumns + `,
       ` + sessiontoken.Columns + `
  FROM game.session_by_id($1) AS s
  JOIN game.users AS u ON u.id = s.user_id`
)

type userSessionRow struct {
	userRow
	sessiontoken.Row
}

// scanUserSession reads a row of exactly userColumns and sessiontoken.Columns, without the reflection of pgx's collectors.
func scanUserSession(row pgx.CollectableRow) (*userSessionRow, error) {
	r := &userSessionRow{}
	return r, row.Scan(append(r.userRow.targets(), r.Targets()...)...)
}

// BySession returns the live session of k and its user from the primary.
func (r *Repository) BySession(ctx context.Context, k sessiontoken.Key) (*databasev1.User, *databasev1.Session, error) {
	row, err := sessiontoken.Select(ctx, r.sessions, k, scanUserSession, selectUserBySessionTokenSQL, selectUserBySessionIDSQL)
	switch {
	case err != nil:
		return nil, nil, err
	case !row.Live:
		return nil, nil, errSessionExpired
	}
	s := &row.Row
	return weighBan(row.userRow.proto(), row.Now.Time), &databasev1.Session{
		Id: s.ID, UserId: s.UserID, CreatedAt: s.CreatedAt.Proto(), UpdatedAt: s.UpdatedAt.Proto(),
		ExpiresAt: s.ExpiresAt.Proto(), ExpiresInSeconds: s.ExpiresInSeconds,
		IpAddress: s.IPAddress, UserAgent: s.UserAgent, Impersonated: s.Impersonated,
	}, nil
}
