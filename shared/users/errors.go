package users

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// What callers of UserService see, besides rpcserver.InvalidArgument, the errors of sessiontoken, and what every service
// may answer.
var (
	errNotFound       = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	errAmbiguous      = rpcserver.Error(twirp.FailedPrecondition, "AMBIGUOUS_USERNAME", "several users bear that name")
	errSessionExpired = sessiontoken.ErrExpired
)
