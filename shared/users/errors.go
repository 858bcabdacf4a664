package users

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// Errors for callers of UserService. It also returns rpcserver.InvalidArgument, the errors of sessiontoken, and the
// errors of every service.
var (
	errNotFound       = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	errAmbiguous      = rpcserver.Error(twirp.FailedPrecondition, "AMBIGUOUS_USERNAME", "several users bear that name")
	errSessionExpired = sessiontoken.ErrExpired
)
