package staff

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// maxTries bounds the rounds of a change. A round fails only if another change took the name or the slot meanwhile.
const maxTries = characterrules.MaxSlots + 8

// Each statement locks the character as it was (was), changes it (made), and writes the audit (audited). Slots of characters whose deadline
// has passed count as taken here, until they are finished; see Repository.change.
const (
	freeSlot = `
       SELECT n.slot
         FROM generate_series(0, @slots::int - 1) AS n (slot)
        WHERE (@slot::int IS NULL OR n.slot = @slot::int)
          AND NOT EXISTS (SELECT FROM game.character AS c WHERE c.user_id = was.owner AND c.slot = n.slot AND c.deleted_at IS NULL AND c.id <> was.id)`
	notFull = `(SELECT count(*) FROM game.character AS c WHERE c.user_id = was.owner AND c.id <> was.id AND ` + characterrules.Visible + `) < @slots::int`
	// A character that only loses its mark stays in its slot, also if the user has more characters than are allowed now.
	keepsSlot = `(was.gone_at IS NULL AND @slot::int IS NULL)`
	changed   = `version = c.version + 1, updated_at = now()`
	audit     = `
), audited AS (
	INSERT INTO game.audit (who, action, user_id, from_user_id, character_id, reason, request_id, request_hash, before, after)
	SELECT @who, @action, made.user_id, nullif(was.user_id, made.user_id), made.id, @reason, @request_id, @request_hash, `

	undeleteSQL = `
WITH was AS MATERIALIZED (
	SELECT c.id, c.user_id, c.user_id AS owner, c.name, c.slot, c.delete_at, ` + goneAt + ` AS gone_at
	  FROM game.character AS c
	 WHERE c.id = @id
	   AND (` + goneAt + ` > now() - ` + forgottenAfter + ` OR c.deleted_at IS NULL AND c.delete_at > now())
	   AND EXISTS (SELECT FROM game.users AS u WHERE u.id = c.user_id)
	   FOR UPDATE
), made AS (
	UPDATE game.character AS c
	   SET name = coalesce(nullif(@name, ''), c.name), slot = CASE WHEN ` + keepsSlot + ` THEN was.slot ELSE free.slot END,
	       deleted_at = NULL, delete_at = NULL, ` + changed + `
	  FROM was LEFT JOIN LATERAL (` + freeSlot + ` ORDER BY n.slot <> was.slot, n.slot LIMIT 1) AS free ON true
	 WHERE c.id = was.id AND (` + keepsSlot + ` OR free.slot IS NOT NULL AND ` + notFull + `)
	RETURNING c.id, c.user_id, c.name, c.slot` + audit + `
	       jsonb_strip_nulls(jsonb_build_object('name', was.name, 'slot', was.slot,
	           'deleted_at', was.gone_at, 'delete_at', CASE WHEN was.gone_at IS NULL THEN was.delete_at END)),
	       jsonb_build_object('name', made.name, 'slot', made.slot)
	  FROM made JOIN was ON was.id = made.id
)
SELECT made.user_id::text AS user_id FROM made`

	renameSQL = `
WITH was AS MATERIALIZED (
	SELECT c.id, c.user_id, c.name
	  FROM game.character AS c
	 WHERE c.id = @id
	   AND ` + characterrules.Visible + `
	   AND (@expected_name = '' OR c.name = @expected_name)
	   FOR UPDATE
), made AS (
	UPDATE game.character AS c
	   SET name = @name, ` + changed + `
	  FROM was
	 WHERE c.id = was.id
	RETURNING c.id, c.user_id, c.name` + audit + `
	       jsonb_build_object('name', was.name), jsonb_build_object('name', made.name)
	  FROM made JOIN was ON was.id = made.id
)
SELECT made.user_id::text AS user_id FROM made`

	transferSQL = `
WITH was AS MATERIALIZED (
	SELECT c.id, c.user_id, u.id AS owner, c.slot
	  FROM game.character AS c
	  JOIN game.users AS u ON u.id = game.user_id(@to)
	 WHERE c.id = @id
	   AND c.user_id = game.user_id(@from)
	   AND ` + characterrules.Visible + `
	   FOR UPDATE OF c
), made AS (
	UPDATE game.character AS c
	   SET user_id = was.owner, slot = free.slot, ` + changed + `
	  FROM was CROSS JOIN LATERAL (` + freeSlot + ` ORDER BY n.slot LIMIT 1) AS free
	 WHERE c.id = was.id AND ` + notFull + `
	RETURNING c.id, c.user_id, c.slot` + audit + `
	       jsonb_build_object('user_id', was.user_id::text, 'slot', was.slot), jsonb_build_object('user_id', made.user_id::text, 'slot', made.slot)
	  FROM made JOIN was ON was.id = made.id
)
SELECT made.user_id::text AS user_id FROM made`

	// Why a change found nothing to change, or what it may not take. u is the user who gets the character.
	explainSQL = `
SELECT coalesce((@from = '' OR c.user_id = game.user_id(@from)) AND
                (` + characterrules.Visible + ` OR @gone::boolean AND ` + goneAt + ` > now() - ` + forgottenAfter + `), false) AND c.id IS NOT NULL AS known,
       c.deleted_at IS NULL AND c.delete_at IS NULL AND c.id IS NOT NULL AS there,
       coalesce(c.deleted_at IS NULL AND c.delete_at > now(), false) AS marked,
       coalesce(@expected_name <> '' AND c.name <> @expected_name, false) AS other_name,
       u.id IS NOT NULL AS has_user,
       EXISTS (SELECT FROM game.character AS o WHERE o.name_key = lower(coalesce(nullif(@name, ''), c.name) COLLATE "C") AND o.id <> c.id
                  AND o.deleted_at IS NULL AND (o.delete_at IS NULL OR o.delete_at > now())) AS name_taken,
       EXISTS (SELECT FROM game.character AS o WHERE o.user_id = u.id AND o.slot = @slot::int AND o.id <> c.id
                  AND o.deleted_at IS NULL AND (o.delete_at IS NULL OR o.delete_at > now())) AS slot_taken,
       (SELECT count(*) FROM game.character AS o WHERE o.user_id = u.id AND o.id <> c.id
                  AND o.deleted_at IS NULL AND (o.delete_at IS NULL OR o.delete_at > now())) >= @slots::int AS full,
       coalesce(u.id::text, '') AS owner, coalesce(nullif(@name, ''), c.name, '') AS name
  FROM (VALUES (1)) AS one
  LEFT JOIN game.character AS c ON c.id = @id
  LEFT JOIN game.users AS u ON u.id = CASE WHEN @to = '' THEN c.user_id ELSE game.user_id(@to) END`

	selectReplaySQL = `SELECT a.id, a.request_hash, a.user_id::text AS user_id, coalesce(a.from_user_id::text, '') AS from_user_id
  FROM game.audit AS a WHERE a.request_id = @request_id`
)

// change is a checked request that changes a character.
type change struct {
	id           int64
	name         string // new; empty: as it is
	expectedName string
	from, to     string // users of a transfer
	gone         bool   // the character must be gone, or have a mark
	slot         *int32
	slots        int32
	reason       string
	requestID    *string
	hash         []byte // of the request
}

// Undelete brings a character back, or removes its mark for deletion.
func (r *Repository) Undelete(ctx context.Context, c change) (*databasev1.PlayerCharacter, bool, error) {
	c.gone = true
	args := c.audited(ctx, "UndeleteCharacter")
	args["name"], args["slot"], args["slots"] = c.name, c.slot, c.slots
	return r.change(ctx, c, undeleteSQL, args)
}

// Rename gives a character another name.
func (r *Repository) Rename(ctx context.Context, c change) (*databasev1.PlayerCharacter, bool, error) {
	args := c.audited(ctx, "RenameCharacter")
	args["name"], args["expected_name"] = c.name, c.expectedName
	return r.change(ctx, c, renameSQL, args)
}

// Transfer gives a character to another user.
func (r *Repository) Transfer(ctx context.Context, c change) (*databasev1.PlayerCharacter, bool, error) {
	args := c.audited(ctx, "TransferCharacter")
	args["from"], args["to"], args["slot"], args["slots"] = c.from, c.to, c.slot, c.slots
	return r.change(ctx, c, transferSQL, args)
}

// audited returns the arguments of the audit and the character.
func (c change) audited(ctx context.Context, action string) postgres.Args {
	a := postgres.Args{"id": c.id, "who": rpcserver.Who(ctx), "action": action, "reason": c.reason, "request_id": c.requestID, "request_hash": nil}
	if c.requestID != nil {
		a["request_hash"] = c.hash
	}
	return a
}

// change runs a statement. If it changed nothing, another statement says why, because the snapshot of the first may be older than
// the commit that it collided with.
func (r *Repository) change(ctx context.Context, c change, sql string, args postgres.Args) (got *databasev1.PlayerCharacter, replayed bool, err error) {
	if done, err := r.replayed(ctx, c); done || err != nil {
		return r.now(ctx, c, true, err)
	}
	for range maxTries {
		owner, err := r.write(ctx, sql, args)
		if err == nil || !errors.Is(err, pgx.ErrNoRows) && !isTaken(err) {
			r.invalidate(ctx, c.id, owner, c.from, c.to) // if the result of the commit is unknown, too
			return r.now(ctx, c, false, err)
		}
		if done, err := r.replayed(ctx, c); done || err != nil { // another request with the same id was faster
			return r.now(ctx, c, true, err)
		}
		if err := r.explain(ctx, c); err != nil {
			return nil, false, err
		}
	}
	return nil, false, characterrules.ErrRetry
}

// now returns the character as it is now, or the error.
func (r *Repository) now(ctx context.Context, c change, replayed bool, err error) (*databasev1.PlayerCharacter, bool, error) {
	if err != nil {
		return nil, false, err
	}
	got, err := r.character(ctx, c.id, c.slots)
	return got, replayed, err
}

// write returns the owner of the changed character.
func (r *Repository) write(ctx context.Context, sql string, args postgres.Args) (owner string, err error) {
	err = r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		rows, err := q.Query(ctx, sql, args)
		if err != nil {
			return err
		}
		owner, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		return err
	})
	return owner, err
}

// isTaken reports whether a unique index has refused the change: another change was faster, or a character whose deadline has passed is not
// finished, or the request's id is there already.
func isTaken(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

// explain returns the reason why nothing was changed. It returns nil if the next try may succeed: then it has finished the
// characters whose deadlines have passed.
func (r *Repository) explain(ctx context.Context, c change) error {
	type reasons struct {
		Known, There, Marked, OtherName, HasUser, NameTaken, SlotTaken, Full bool
		Owner, Name                                                          string
	}
	moves := c.gone || c.to != ""
	why, err := postgres.QueryOne(ctx, r.db, pgx.RowToStructByName[reasons], explainSQL, postgres.Args{
		"id": c.id, "gone": c.gone, "name": c.name, "expected_name": c.expectedName, "from": c.from, "to": c.to, "slot": c.slot, "slots": c.slots,
	})
	switch {
	case err != nil:
		return err
	case !why.Known:
		return errNotFound
	case c.gone && why.There:
		return errNotDeleted
	case !why.HasUser && moves:
		return errUserNotFound
	case why.OtherName:
		return characterrules.ErrNameMismatch
	case moves && why.Full && !(c.gone && why.Marked && c.slot == nil):
		return characterrules.ErrSlotsFull
	case moves && why.SlotTaken:
		return errSlotTaken
	case why.NameTaken:
		return characterrules.ErrNameTaken
	}
	return r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, characterrules.FinishDueSQL, postgres.Args{"user_id": why.Owner, "name": why.Name})
		return err
	})
}

type replayRow struct {
	ID                 int64
	RequestHash        []byte
	UserID, FromUserID string
}

// replayed reports whether an earlier request with the same id and content has done the change.
func (r *Repository) replayed(ctx context.Context, c change) (bool, error) {
	row, err := r.earlier(ctx, c.requestID, c.hash)
	if row == nil || err != nil {
		return false, err
	}
	r.invalidate(ctx, c.id, row.UserID, row.FromUserID) // the process that did it may have died before
	return true, nil
}

// earlier returns the audit's row of an earlier request with the same id, nil if there is none.
func (r *Repository) earlier(ctx context.Context, requestID *string, hash []byte) (*replayRow, error) {
	if requestID == nil {
		return nil, nil
	}
	row, err := postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[replayRow], selectReplaySQL, postgres.Args{"request_id": requestID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case !bytes.Equal(row.RequestHash, hash):
		return nil, errRequestIDReused
	}
	return row, nil
}

// invalidate deletes a character and the lists of users from the cache, before the caller gets its answer.
func (r *Repository) invalidate(ctx context.Context, id int64, users ...string) {
	keys := []string{"character:" + strconv.FormatInt(id, 10)}
	for _, u := range users {
		if u != "" {
			keys = append(keys, "characters:"+u)
		}
	}
	r.cache.Invalidate(ctx, keys...)
}
