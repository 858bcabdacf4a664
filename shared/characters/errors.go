package characters

import (
	"strconv"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/characterrules"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// The errors of CharacterDbService, besides rpcserver.InvalidArgument and the errors of every service.
var (
	errNotFound        = characterrules.ErrNotFound
	errUserNotFound    = characterrules.ErrUserNotFound
	errNameTaken       = characterrules.ErrNameTaken
	errSlotsFull       = characterrules.ErrSlotsFull
	errCreationBlocked = rpcserver.Error(twirp.FailedPrecondition, "CREATION_BLOCKED", "the user is banned")
	errNameMismatch    = characterrules.ErrNameMismatch
	errRequestIDReused = rpcserver.Error(twirp.InvalidArgument, "REQUEST_ID_REUSED", "the request id belongs to another request").WithMeta("argument", "request_id")
	errSaveIDReused    = rpcserver.Error(twirp.InvalidArgument, "REQUEST_ID_REUSED", "the save id belongs to a save of other content").WithMeta("argument", "save_id")
	errRetry           = characterrules.ErrRetry
)

func errTooLarge(field, msg string) twirp.Error {
	return rpcserver.Error(twirp.InvalidArgument, "DOCUMENT_TOO_LARGE", field+" "+msg).WithMeta("argument", field)
}

// errVersionMismatch carries the version that the save should have expected.
func errVersionMismatch(current int64) twirp.Error {
	return rpcserver.Error(twirp.Aborted, "VERSION_MISMATCH", "the character has changed; read it again").
		WithMeta("current_version", strconv.FormatInt(current, 10))
}
