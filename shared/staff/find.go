package staff

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/jscase"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

const (
	anyField      = databasev1.PlayerField_PLAYER_FIELD_UNSPECIFIED
	userID        = databasev1.PlayerField_PLAYER_FIELD_USER_ID
	username      = databasev1.PlayerField_PLAYER_FIELD_USERNAME
	email         = databasev1.PlayerField_PLAYER_FIELD_EMAIL
	characterName = databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME
	sessionID     = databasev1.PlayerField_PLAYER_FIELD_SESSION_ID

	exact  = databasev1.PlayerMatch_PLAYER_MATCH_EXACT
	prefix = databasev1.PlayerMatch_PLAYER_MATCH_PREFIX
)

const (
	userFields = `u.id::text AS user_id, coalesce(u.username, '') AS username, coalesce(u.name, '') AS name,
       game.ban_holds(u.banned, u.ban_expires_at, now()) AS banned`

	findUserByIDSQL = `SELECT ` + userFields + ` FROM game.users AS u WHERE u.id = game.user_id(@query)`

	findUserByUsernameSQL = `SELECT ` + userFields + ` FROM game.users AS u
 WHERE game.login_matches(u.login_key, @query, @lower, @upper)
 ORDER BY u.login_key, u.id LIMIT @most`

	findUserByUsernamePrefixSQL = `SELECT ` + userFields + ` FROM game.users AS u
 WHERE game.login_starts(u.login_key, @query, @lower, @upper)
 ORDER BY u.login_key, u.id LIMIT @most`

	findUserByEmailSQL = `SELECT ` + userFields + ` FROM game.users AS u WHERE game.email_is(u.email_key, @lower)`

	findUserByEmailPrefixSQL = `SELECT ` + userFields + ` FROM game.users AS u
 WHERE game.email_starts(u.email_key, @lower)
 ORDER BY u.email_key LIMIT @most`

	findUserBySessionIDSQL = `SELECT ` + userFields + ` FROM game.session_by_id($1) AS s JOIN game.users AS u ON u.id = s.user_id`

	// Characters that are there by the unique index on their names, and those that are gone by the index on when they went: there are at most
	// those of 30 days. See game.login_starts for the range.
	findCharacterSQL = `
WITH found AS (
       (SELECT c.id, c.user_id, c.name, c.name_key, NULL::timestamptz AS deleted_at, c.delete_at FROM game.character AS c
         WHERE c.deleted_at IS NULL AND c.name_key >= @name AND c.name_key <= @last AND starts_with(c.name_key, @name)
         ORDER BY c.name_key LIMIT @most)
        UNION ALL
       (SELECT c.id, c.user_id, c.name, c.name_key, c.deleted_at, c.delete_at FROM game.character AS c
         WHERE c.deleted_at > now() - ` + forgottenAfter + ` AND c.name_key >= @name AND c.name_key <= @last AND starts_with(c.name_key, @name)
         ORDER BY c.name_key, c.deleted_at DESC LIMIT @most))
SELECT f.user_id::text AS user_id, u.id IS NULL AS user_removed, coalesce(u.username, '') AS username, coalesce(u.name, '') AS name,
       game.ban_holds(u.banned, u.ban_expires_at, now()) AS banned, f.id AS character_id, f.name AS character_name,
       f.deleted_at IS NOT NULL OR coalesce(f.delete_at <= now(), false) AS deleted, f.delete_at IS NOT NULL AS marked
  FROM found AS f
  LEFT JOIN game.users AS u ON u.id = f.user_id
 ORDER BY f.name_key, f.deleted_at DESC NULLS FIRST, f.id LIMIT @most`

	lastLetter = "\U0010ffff" // sorts after every other one
)

// forgottenAfter is how long the row of a deleted character is kept. game.forget_characters deletes it then.
const forgottenAfter = `interval '30 days'`

// foundRow is a user that was found.
type foundRow struct {
	UserID, Username, Name string
	Banned                 bool
}

func (r foundRow) proto(by databasev1.PlayerField) *databasev1.FoundPlayer {
	return &databasev1.FoundPlayer{UserId: r.UserID, FoundBy: by, Username: r.Username, Name: r.Name, Banned: r.Banned}
}

type foundCharacterRow struct {
	foundRow
	UserRemoved     bool
	CharacterID     int64
	CharacterName   string
	Deleted, Marked bool
}

func (r foundCharacterRow) proto() *databasev1.FoundPlayer {
	p := r.foundRow.proto(characterName)
	p.UserRemoved, p.CharacterId, p.CharacterName, p.CharacterState = r.UserRemoved, r.CharacterID, r.CharacterName, stateOf(r.Deleted, r.Marked)
	return p
}

func stateOf(deleted, marked bool) databasev1.CharacterState {
	switch {
	case deleted:
		return databasev1.CharacterState_CHARACTER_STATE_DELETED
	case marked:
		return databasev1.CharacterState_CHARACTER_STATE_PENDING_DELETION
	}
	return databasev1.CharacterState_CHARACTER_STATE_ACTIVE
}

// FindPlayers implements databasev1.StaffService.
func (s *Service) FindPlayers(ctx context.Context, r *databasev1.FindPlayersRequest) (*databasev1.FindPlayersResponse, error) {
	if err := checkFind(r); err != nil {
		return nil, err
	}
	limit, err := limitOf(r.Limit)
	if err != nil {
		return nil, err
	}
	f := finder{repository: s.repository, query: r.Query, most: int(limit) + 1}
	for _, by := range []databasev1.PlayerField{userID, sessionID, email, username, characterName} {
		if r.By != by && (r.By != anyField || by == email && !strings.Contains(r.Query, "@")) {
			continue
		}
		if err := f.find(ctx, by, r.Match); err != nil {
			return nil, err
		}
	}
	answer := &databasev1.FindPlayersResponse{Players: f.found}
	if len(f.found) > int(limit) {
		answer.Players, answer.More = f.found[:limit], true
	}
	return answer, nil
}

func checkFind(r *databasev1.FindPlayersRequest) error {
	if err := rpcserver.CheckText("query", r.Query, maxText); err != nil {
		return err
	}
	if _, known := databasev1.PlayerField_name[int32(r.By)]; !known {
		return rpcserver.InvalidArgument("by", "is unknown")
	}
	if _, known := databasev1.PlayerMatch_name[int32(r.Match)]; !known {
		return rpcserver.InvalidArgument("match", "is unknown")
	}
	if r.Match == prefix && (r.By == userID || r.By == sessionID) {
		return rpcserver.InvalidArgument("match", "is PREFIX, but an id is found as a whole only")
	}
	return nil
}

// finder collects players, field by field, until it has enough.
type finder struct {
	repository *Repository
	query      string
	most       int
	found      []*databasev1.FoundPlayer
}

// find adds the players that a field finds. A prefix includes the exact match, which comes first in the order of the field.
func (f *finder) find(ctx context.Context, by databasev1.PlayerField, match databasev1.PlayerMatch) error {
	if len(f.found) >= f.most {
		return nil
	}
	switch by {
	case userID:
		return f.users(ctx, by, findUserByIDSQL, postgres.Args{"query": f.query})
	case sessionID:
		return f.bySession(ctx)
	case characterName:
		return f.characters(ctx, match)
	case email:
		if match == exact {
			return f.users(ctx, by, findUserByEmailSQL, postgres.Args{"lower": jscase.Lower(f.query)})
		}
		return f.users(ctx, by, findUserByEmailPrefixSQL, postgres.Args{"lower": jscase.Lower(f.query), "most": f.left()})
	}
	sql := findUserByUsernamePrefixSQL
	if match == exact {
		sql = findUserByUsernameSQL
	}
	return f.users(ctx, by, sql, postgres.Args{"query": f.query, "lower": jscase.Lower(f.query), "upper": jscase.Upper(f.query), "most": f.left()})
}

func (f *finder) left() int { return f.most - len(f.found) }

func (f *finder) users(ctx context.Context, by databasev1.PlayerField, sql string, args postgres.Args) error {
	rows, err := postgres.QueryAll(ctx, f.repository.db, pgx.RowToStructByName[foundRow], sql, args)
	for _, r := range rows {
		f.found = append(f.found, r.proto(by))
	}
	return err
}

func (f *finder) characters(ctx context.Context, match databasev1.PlayerMatch) error {
	name := strings.ToLower(f.query)
	if len(name) > characterrules.MaxNameLen {
		return nil
	}
	last := name + lastLetter
	if match == exact {
		last = name
	}
	rows, err := postgres.QueryAll(ctx, f.repository.db, pgx.RowToStructByName[foundCharacterRow], findCharacterSQL, postgres.Args{
		"name": name, "last": last, "most": f.left(),
	})
	for _, r := range rows {
		f.found = append(f.found, r.proto())
	}
	return err
}

// bySession finds nothing if session ids are serial numbers, as every lookup by session id.
func (f *finder) bySession(ctx context.Context) error {
	key, err := sessiontoken.Keys{}.ID(f.query)
	if err != nil {
		return err
	}
	row, err := sessiontoken.Select(ctx, f.repository.sessions, key, pgx.RowToAddrOfStructByName[foundRow], "", findUserBySessionIDSQL)
	switch {
	case errors.Is(err, sessiontoken.ErrNotFound), errors.Is(err, sessiontoken.ErrIDRefused):
		return nil
	case err != nil:
		return err
	}
	f.found = append(f.found, row.proto(sessionID))
	return nil
}
