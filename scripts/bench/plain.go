package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// The handlers to compare with use the same generated servers and do nothing beyond the call.

// constant always returns the same user.
type constant struct {
	databasev1.UserService
	user *databasev1.User
}

func (c constant) GetUser(context.Context, *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	return &databasev1.GetUserResponse{User: c.user}, nil
}

// redisGet reads a user's bytes with one GET.
type redisGet struct {
	databasev1.UserService
	client *redis.Client
}

const plainPrefix = "plain:"

func (g redisGet) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	b, err := g.client.Get(ctx, plainPrefix+r.UserId).Bytes()
	if err != nil {
		return nil, err
	}
	u := &databasev1.User{}
	return &databasev1.GetUserResponse{User: u}, proto.Unmarshal(b, u)
}

// selectUser reads a user with one SELECT by key.
type selectUser struct {
	databasev1.UserService
	pool *pgxpool.Pool
}

func (s selectUser) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	u := &databasev1.User{}
	var createdAt, updatedAt time.Time
	err := s.pool.QueryRow(ctx, `SELECT id, coalesce(username, ''), email, coalesce(role, ''), name, coalesce("displayUsername", ''),
       "emailVerified", coalesce(image, ''), coalesce(banned, false), coalesce("banReason", ''), "createdAt", "updatedAt"
  FROM "user" WHERE id = $1`, r.UserId).Scan(&u.Id, &u.Username, &u.Email, &u.Role, &u.Name, &u.DisplayUsername,
		&u.EmailVerified, &u.Image, &u.Banned, &u.BanReason, &createdAt, &updatedAt)
	u.CreatedAt, u.UpdatedAt = timestamppb.New(createdAt), timestamppb.New(updatedAt)
	return &databasev1.GetUserResponse{User: u}, err
}

// selectSession reads a session with GetSession's statement. The difference to GetSession is the cost of this service
// without that of the database.
type selectSession struct {
	databasev1.SessionService
	pool *pgxpool.Pool
}

func (s selectSession) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	e := &databasev1.Session{}
	var createdAt, updatedAt, expiresAt time.Time
	var live bool
	err := s.pool.QueryRow(ctx, `SELECT s.id, s.user_id, s.created_at, s.updated_at, s.expires_at, s.live, s.expires_in_seconds,
       coalesce(s.ip_address, ''), coalesce(s.user_agent, ''), s.impersonated
  FROM game.session_by_token_as($1, false) AS s`, r.GetToken()).Scan(&e.Id, &e.UserId, &createdAt, &updatedAt, &expiresAt, &live,
		&e.ExpiresInSeconds, &e.IpAddress, &e.UserAgent, &e.Impersonated)
	e.CreatedAt, e.UpdatedAt, e.ExpiresAt = timestamppb.New(createdAt), timestamppb.New(updatedAt), timestamppb.New(expiresAt)
	return &databasev1.GetSessionResponse{Session: e}, err
}

// selectList reads a user's characters with one SELECT, without their documents.
type selectList struct {
	databasev1.CharacterDbService
	pool *pgxpool.Pool
}

func (s selectList) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, user_id, slot, name, version, level, job, money, looks, stats, position, equipment,
       play_seconds, created_at, updated_at
  FROM game.character WHERE user_id = $1 AND deleted_at IS NULL ORDER BY slot`, r.UserId)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	l := &databasev1.GetCharacterListResponse{MaxSlots: 5}
	for rows.Next() {
		c := &databasev1.Character{}
		var looks, stats, position, equipment []byte
		var createdAt, updatedAt time.Time
		if err := rows.Scan(&c.Id, &c.UserId, &c.Slot, &c.Name, &c.Version, &c.Level, &c.Job, &c.Money, &looks, &stats,
			&position, &equipment, &c.PlaySeconds, &createdAt, &updatedAt); err != nil {
			return nil, err
		}
		c.CreatedAt, c.UpdatedAt = timestamppb.New(createdAt), timestamppb.New(updatedAt)
		l.Characters = append(l.Characters, c)
	}
	return l, rows.Err()
}
