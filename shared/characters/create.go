package characters

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/postgres"
)

// maxTries bounds the rounds of a create. A round fails only if another create of the same user took the slot, and there
// are at most MaxSlots slots.
const maxTries = characterrules.MaxSlots + 8

const (
	// A slot or a name counts as free here if its holder's deadline has passed. The unique index refuses it until the holder
	// is finished: then this inserts nothing, the next statement says why, and FinishDueSQL finishes the holder.
	insertCharacterSQL = `
INSERT INTO game.character AS c (user_id, slot, name, level, job, money, looks, stats, position, equipment, inventory,
       skills, extra, request_id, request_hash)
SELECT u.id, free.slot, @name, @level, @job, @money,
       coalesce(@looks::jsonb, '{}'), coalesce(@stats::jsonb, '{}'), coalesce(@position::jsonb, '{}'),
       coalesce(@equipment::jsonb, '{}'), coalesce(@inventory::jsonb, '{}'), coalesce(@skills::jsonb, '{}'),
       coalesce(@extra::jsonb, '{}'), @request_id, @request_hash
  FROM game.users AS u
 CROSS JOIN LATERAL (
       SELECT n.slot
         FROM generate_series(0, @slots::int - 1) AS n (slot)
        WHERE NOT EXISTS (SELECT FROM game.character AS c WHERE c.user_id = u.id AND c.slot = n.slot AND ` + visible + `)
        ORDER BY n.slot
        LIMIT 1) AS free
 WHERE u.id = game.user_id(@user_id)
   AND NOT (coalesce(u.banned, false) AND coalesce(u.ban_expires_at > now(), true))
   AND (SELECT count(*) FROM game.character AS c WHERE c.user_id = u.id AND ` + visible + `) < @slots::int
ON CONFLICT DO NOTHING
RETURNING` + fullColumns

	selectByRequestSQL = `SELECT` + fullColumns + `, c.request_hash, ` + visible + ` AS visible
  FROM game.character AS c
 WHERE c.user_id = game.user_id(@user_id)
   AND c.request_id = @request_id`

	explainCreateSQL = `
SELECT u.id IS NOT NULL AS known,
       coalesce(u.banned AND coalesce(u.ban_expires_at > now(), true), false) AS banned,
       EXISTS (SELECT FROM game.character AS c WHERE c.name_key = lower(@name COLLATE "C") AND ` + visible + `) AS name_taken,
       (SELECT count(*) FROM game.character AS c WHERE c.user_id = u.id AND ` + visible + `) >= @slots::int AS full
  FROM (VALUES (1)) AS one
  LEFT JOIN game.users AS u ON u.id = game.user_id(@user_id)`
)

// creation is a checked CreateCharacterRequest.
type creation struct {
	userID, name string
	level, job   int32
	money        int64
	documents    columns
	slots        int32
	requestID    *string
	requestHash  []byte
}

// Create makes a character in the lowest free slot. replayed reports that an earlier request of the same id has made it.
func (r *Repository) Create(ctx context.Context, n creation) (c *databasev1.Character, replayed bool, err error) {
	d := n.documents
	args := postgres.Args{
		"user_id": n.userID, "name": n.name, "level": n.level, "job": n.job, "money": n.money, "slots": n.slots,
		"looks": d.looks, "stats": d.stats, "position": d.position, "equipment": d.equipment, "inventory": d.inventory,
		"skills": d.skills, "extra": d.extra, "request_id": n.requestID, "request_hash": n.requestHash,
	}
	for range maxTries {
		row, err := write[fullRow](ctx, r, 0, n.userID, insertCharacterSQL, args)
		if err == nil {
			c, err := shown(row, nil)
			return c, false, err
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, false, err
		}
		// This needs another statement: the insert's snapshot may be older than the commit that it collided with.
		if c, err := r.replay(ctx, n); c != nil || err != nil {
			return c, true, err
		}
		if err := r.explain(ctx, n); err != nil {
			return nil, false, err
		}
	}
	return nil, false, errRetry
}

// replay returns the character that an earlier request of the same id has made, or nil.
func (r *Repository) replay(ctx context.Context, n creation) (*databasev1.Character, error) {
	if n.requestID == nil {
		return nil, nil
	}
	type requestRow struct {
		fullRow
		RequestHash []byte
		Visible     bool
	}
	row, err := postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[requestRow], selectByRequestSQL,
		postgres.Args{"user_id": n.userID, "request_id": n.requestID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case !row.Visible || !bytes.Equal(row.RequestHash, n.requestHash):
		return nil, errRequestIDReused
	}
	r.invalidate(ctx, row.ID, row.UserID)
	return shown(&row.fullRow, nil)
}

// explain returns the reason why an insert made no row. It returns nil if the next try may succeed: another create took
// the slot, or a character whose deadline has passed held it. explain finishes such a character.
func (r *Repository) explain(ctx context.Context, n creation) error {
	type reasons struct{ Known, Banned, NameTaken, Full bool }
	args := postgres.Args{"user_id": n.userID, "name": n.name}
	why, err := postgres.QueryOne(ctx, r.db, pgx.RowToStructByName[reasons], explainCreateSQL,
		postgres.Args{"user_id": n.userID, "name": n.name, "slots": n.slots})
	switch {
	case err != nil:
		return err
	case !why.Known:
		return errUserNotFound
	case why.Banned:
		return errCreationBlocked
	case why.NameTaken:
		return errNameTaken
	case why.Full:
		return errSlotsFull
	}
	return r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, characterrules.FinishDueSQL, args)
		return err
	})
}

// shown returns a character that a statement has returned, or the error of that statement.
func shown(row *fullRow, err error) (*databasev1.Character, error) {
	if err != nil {
		return nil, err
	}
	c, err := row.proto()
	if err != nil {
		return nil, err
	}
	present(c, row.Now)
	return c, nil
}
