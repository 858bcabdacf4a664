package staff

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// The errors of StaffService, besides rpcserver.InvalidArgument, those of package characterrules, and the errors of every service.
var (
	errNotFound        = characterrules.ErrNotFound
	errUserNotFound    = characterrules.ErrUserNotFound
	errNotDeleted      = rpcserver.Error(twirp.FailedPrecondition, "CHARACTER_NOT_DELETED", "the character is not deleted, and has no mark for deletion")
	errSlotTaken       = rpcserver.Error(twirp.FailedPrecondition, "SLOT_TAKEN", "another character has the slot")
	errRequestIDReused = rpcserver.Error(twirp.InvalidArgument, "REQUEST_ID_REUSED", "the request id belongs to another request").WithMeta("argument", "request_id")
)
