package characterrules

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

const (
	// DefaultSlots is how many characters a user may have.
	DefaultSlots = 5
	// MaxSlots is the limit that the database enforces.
	MaxSlots = 32
)

// Parts of statements on game.character, as c.
const (
	// Visible matches every character that is not gone. Once its deadline has passed a character is gone, finished or not.
	Visible = `c.deleted_at IS NULL AND (c.delete_at IS NULL OR c.delete_at > now())`

	// Due matches every character whose deadline has passed and that is not finished. Finish finishes it.
	Due    = `c.deleted_at IS NULL AND c.delete_at <= now()`
	Finish = `deleted_at = c.delete_at, version = c.version + 1, updated_at = now()`
)

// FinishDueSQL finishes the characters of @user_id, and the one with @name, whose deadlines have passed: the unique indexes count
// them until then. Replies already hide them, so the cache needs no invalidation. The rows change in the order of their users, because the
// trigger locks a user's line in the change log: two of these in different orders would deadlock there.
const FinishDueSQL = `
WITH due AS MATERIALIZED (
       SELECT c.id, c.user_id
         FROM game.character AS c
        WHERE ` + Due + `
          AND (c.user_id = game.user_id(@user_id) OR c.name_key = lower(@name COLLATE "C"))
        ORDER BY c.user_id, c.id
          FOR UPDATE)
UPDATE game.character AS c
   SET ` + Finish + `
  FROM (SELECT id FROM due ORDER BY user_id, id) AS batch
 WHERE c.id = ANY (ARRAY[batch.id])`

// The errors about characters that more than one service returns.
var (
	ErrNotFound     = rpcserver.Error(twirp.NotFound, "CHARACTER_NOT_FOUND", "no such character")
	ErrUserNotFound = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	ErrNameTaken    = rpcserver.Error(twirp.AlreadyExists, "NAME_TAKEN", "the name is taken")
	ErrSlotsFull    = rpcserver.Error(twirp.FailedPrecondition, "SLOTS_FULL", "the user has as many characters as allowed")
	ErrNameMismatch = rpcserver.Error(twirp.FailedPrecondition, "NAME_MISMATCH", "the character has another name")
	ErrRetry        = rpcserver.Error(twirp.Aborted, "RETRY", "concurrent changes won; try again")
)
