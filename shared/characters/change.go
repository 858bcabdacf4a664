package characters

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	scheduleSQL = `
UPDATE game.character AS c
   SET delete_at = now() + @delay::interval, version = c.version + 1, updated_at = now()
 WHERE ` + owned + `
   AND ` + visible + `
   AND c.delete_at IS NULL
   AND (@expected_name = '' OR c.name = @expected_name)
RETURNING` + fullColumns

	deleteSQL = `
UPDATE game.character AS c
   SET deleted_at = now(), version = c.version + 1, updated_at = now()
 WHERE ` + owned + `
   AND ` + visible + `
   AND (@expected_name = '' OR c.name = @expected_name)
RETURNING` + fullColumns

	restoreSQL = `
UPDATE game.character AS c
   SET delete_at = NULL, version = c.version + 1, updated_at = now()
 WHERE ` + owned + `
   AND ` + visible + `
   AND c.delete_at IS NOT NULL
RETURNING` + fullColumns

	saveSQL = `
UPDATE game.character AS c
   SET level = coalesce(@level, c.level), job = coalesce(@job, c.job), money = coalesce(@money, c.money),
       looks = coalesce(@looks::jsonb, c.looks), stats = coalesce(@stats::jsonb, c.stats),
       position = coalesce(@position::jsonb, c.position), equipment = coalesce(@equipment::jsonb, c.equipment),
       inventory = coalesce(@inventory::jsonb, c.inventory), skills = coalesce(@skills::jsonb, c.skills),
       extra = coalesce(@extra::jsonb, c.extra),
       play_seconds = c.play_seconds + @add_play_seconds::int,
       last_played_at = CASE WHEN @add_play_seconds::int > 0 THEN now() ELSE c.last_played_at END,
       last_save_id = @save_id, last_save_version = c.version + 1, save_hash = @save_hash, save_hash_version = c.version + 1,
       version = c.version + 1, updated_at = now()
 WHERE ` + owned + `
   AND ` + visible + `
   AND c.version = @expected_version
   AND ` + uidsAreNew + `
RETURNING c.id, c.user_id::text AS user_id, c.version`

	// The state of a character that a write did not change.
	selectStateSQL = `SELECT` + fullColumns + `, ` + visible + ` AS visible,
       c.deleted_at IS NOT NULL AND (c.delete_at IS NULL OR c.deleted_at < c.delete_at) AS deleted_at_once,
       c.last_save_id::text AS last_save_id, c.last_save_version,
       CASE WHEN c.save_hash_version = c.last_save_version THEN c.save_hash END AS last_save_hash
  FROM game.character AS c
 WHERE ` + owned

	explainSaveSQL = `SELECT ` + uidsAreNew + `
  FROM game.character AS c
 WHERE c.id = @id
   AND c.version = @expected_version`
)

type stateRow struct {
	fullRow
	Visible         bool
	DeletedAtOnce   bool
	LastSaveID      *string
	LastSaveVersion *int64
	LastSaveHash    []byte // nil: a program that stored no hash made the save
}

func (r *Repository) state(ctx context.Context, id int64, userID string) (*stateRow, error) {
	row, err := postgres.QueryOne(ctx, r.db, pgx.RowToAddrOfStructByName[stateRow], selectStateSQL, postgres.Args{"id": id, "user_id": userID})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound
	}
	return row, err
}

// Schedule marks a character for deletion after delay. A character that is already marked keeps its deadline.
func (r *Repository) Schedule(ctx context.Context, id int64, userID, expectedName string, delay time.Duration) (*databasev1.Character, error) {
	row, err := write[fullRow](ctx, r, id, userID, scheduleSQL,
		postgres.Args{"id": id, "user_id": userID, "expected_name": expectedName, "delay": delay})
	if !errors.Is(err, pgx.ErrNoRows) {
		return shown(row, err)
	}
	s, err := r.state(ctx, id, userID)
	switch {
	case err != nil:
		return nil, err
	case !s.Visible:
		return nil, errNotFound
	case expectedName != "" && s.Name != expectedName:
		return nil, errNameMismatch
	case s.DeleteAt == nil:
		return nil, errRetry // a concurrent write restored or renamed it between the two statements
	}
	r.invalidate(ctx, s.ID, s.UserID)
	return shown(&s.fullRow, nil)
}

// Delete deletes a character at once. For a retry, a character that was deleted so gets the same answer.
func (r *Repository) Delete(ctx context.Context, id int64, userID, expectedName string) (*databasev1.Character, error) {
	row, err := write[fullRow](ctx, r, id, userID, deleteSQL, postgres.Args{"id": id, "user_id": userID, "expected_name": expectedName})
	if err == nil {
		return deleted(row)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	s, err := r.state(ctx, id, userID)
	switch {
	case err != nil:
		return nil, err
	case !s.Visible && !s.DeletedAtOnce:
		return nil, errNotFound
	case expectedName != "" && s.Name != expectedName:
		return nil, errNameMismatch
	case s.Visible:
		return nil, errRetry // a concurrent change made it match between the two statements
	}
	r.invalidate(ctx, s.ID, s.UserID)
	return deleted(&s.fullRow)
}

func deleted(row *fullRow) (*databasev1.Character, error) {
	c, err := row.proto()
	if err != nil {
		return nil, err
	}
	c.State, c.DeleteAt = databasev1.CharacterState_CHARACTER_STATE_DELETED, nil
	return c, nil
}

// Restore removes the mark. It returns a character without a mark unchanged.
func (r *Repository) Restore(ctx context.Context, id int64, userID string) (*databasev1.Character, error) {
	row, err := write[fullRow](ctx, r, id, userID, restoreSQL, postgres.Args{"id": id, "user_id": userID})
	if !errors.Is(err, pgx.ErrNoRows) {
		return shown(row, err)
	}
	s, err := r.state(ctx, id, userID)
	switch {
	case err != nil:
		return nil, err
	case !s.Visible:
		return nil, errNotFound
	case s.DeleteAt != nil:
		return nil, errRetry // a concurrent write marked it between the two statements
	}
	r.invalidate(ctx, s.ID, s.UserID)
	return shown(&s.fullRow, nil)
}

// saving is a checked SaveCharacterRequest.
type saving struct {
	id              int64
	userID          string
	expectedVersion int64
	saveID          *string
	saveHash        []byte // of the content; nil without a saveID
	level, job      *int32
	money           *int64
	documents       columns
	section         string   // equipment or inventory, if it carries only one of them
	uids            []string // of that section's items
	addPlaySeconds  int32
}

type savedRow struct {
	ID      int64
	UserID  string
	Version int64
}

func (r *savedRow) owner() (int64, string) { return r.ID, r.UserID }

// empty reports that there is nothing to save.
func (n saving) empty() bool {
	return n.level == nil && n.job == nil && n.money == nil && n.documents == columns{} && n.addPlaySeconds == 0
}

// Save replaces the sections that it is given. replayed reports that an earlier save of the same id has done so. A save of
// nothing only compares the version.
func (r *Repository) Save(ctx context.Context, n saving) (version int64, replayed bool, err error) {
	if n.empty() {
		return r.saved(ctx, n)
	}
	d := n.documents
	row, err := write[savedRow](ctx, r, n.id, n.userID, saveSQL, postgres.Args{
		"id": n.id, "user_id": n.userID, "expected_version": n.expectedVersion, "save_id": n.saveID, "save_hash": n.saveHash,
		"level": n.level, "job": n.job, "money": n.money, "looks": d.looks, "stats": d.stats, "position": d.position,
		"equipment": d.equipment, "inventory": d.inventory, "skills": d.skills, "extra": d.extra,
		"add_play_seconds": n.addPlaySeconds, "uids": n.uids,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return r.saved(ctx, n)
	}
	if err != nil {
		return 0, false, err
	}
	return row.Version, false, nil
}

// saved answers a save that wrote nothing.
func (r *Repository) saved(ctx context.Context, n saving) (version int64, replayed bool, err error) {
	s, err := r.state(ctx, n.id, n.userID)
	switch {
	case err != nil:
		return 0, false, err
	case !s.Visible:
		return 0, false, errNotFound
	case n.saveID != nil && s.LastSaveID != nil && *s.LastSaveID == *n.saveID && *s.LastSaveVersion == n.expectedVersion+1:
		if s.LastSaveHash != nil && !bytes.Equal(s.LastSaveHash, n.saveHash) {
			return 0, false, errSaveIDReused
		}
		r.invalidate(ctx, s.ID, s.UserID)
		return *s.LastSaveVersion, true, nil
	case s.Version == n.expectedVersion && n.empty():
		// The process that made this version may have died before it invalidated.
		r.invalidate(ctx, s.ID, s.UserID)
		return s.Version, false, nil
	case s.Version == n.expectedVersion:
		return 0, false, r.explainSave(ctx, n)
	}
	// The caller has read another version, possibly from the cache before a sync of another program's change. Its next
	// read must find at least the version in this error.
	r.invalidate(ctx, s.ID, s.UserID)
	return 0, false, errVersionMismatch(s.Version)
}

// explainSave returns why a save of the right version wrote nothing.
func (r *Repository) explainSave(ctx context.Context, n saving) error {
	if n.uids != nil {
		free, err := postgres.QueryOne(ctx, r.db, pgx.RowTo[bool], explainSaveSQL, postgres.Args{
			"id": n.id, "expected_version": n.expectedVersion, "inventory": n.documents.inventory, "uids": n.uids,
		})
		switch {
		case err == nil && !free:
			return rpcserver.InvalidArgument(n.section, "has an item whose uid another item of the character has")
		case err != nil && !errors.Is(err, pgx.ErrNoRows):
			return err
		}
	}
	return errRetry // a concurrent change made it match between the two statements
}
