package characters

import (
	"strconv"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// The errors of CharacterDbService, besides rpcserver.InvalidArgument and the errors of every service.
var (
	errNotFound        = rpcserver.Error(twirp.NotFound, "CHARACTER_NOT_FOUND", "no such character")
	errUserNotFound    = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	errNameTaken       = rpcserver.Error(twirp.AlreadyExists, "NAME_TAKEN", "the name is taken")
	errNameReserved    = rpcserver.Error(twirp.InvalidArgument, "NAME_RESERVED", "the name is reserved").WithMeta("argument", "name")
	errSlotsFull       = rpcserver.Error(twirp.FailedPrecondition, "SLOTS_FULL", "the user has as many characters as allowed")
	errCreationBlocked = rpcserver.Error(twirp.FailedPrecondition, "CREATION_BLOCKED", "the user is banned")
	errNameMismatch    = rpcserver.Error(twirp.FailedPrecondition, "NAME_MISMATCH", "the character has another name")
	errRequestIDReused = rpcserver.Error(twirp.InvalidArgument, "REQUEST_ID_REUSED", "the request id belongs to another request").WithMeta("argument", "request_id")
	errSaveIDReused    = rpcserver.Error(twirp.InvalidArgument, "REQUEST_ID_REUSED", "the save id belongs to a save of other content").WithMeta("argument", "save_id")
	errRetry           = rpcserver.Error(twirp.Aborted, "RETRY", "concurrent changes won; try again")
)

func errNameInvalid(msg string) twirp.Error {
	return rpcserver.Error(twirp.InvalidArgument, "NAME_INVALID", msg).WithMeta("argument", "name")
}

func errTooLarge(field, msg string) twirp.Error {
	return rpcserver.Error(twirp.InvalidArgument, "DOCUMENT_TOO_LARGE", field+" "+msg).WithMeta("argument", field)
}

// errVersionMismatch carries the version that the save should have expected.
func errVersionMismatch(current int64) twirp.Error {
	return rpcserver.Error(twirp.Aborted, "VERSION_MISMATCH", "the character has changed; read it again").
		WithMeta("current_version", strconv.FormatInt(current, 10))
}
