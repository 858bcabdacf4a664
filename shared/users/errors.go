package users

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// What callers of UserService see, besides rpcserver.InvalidArgument and what every service may answer.
var (
	errNotFound         = rpcserver.Error(twirp.NotFound, "USER_NOT_FOUND", "no such user")
	errAmbiguous        = rpcserver.Error(twirp.FailedPrecondition, "AMBIGUOUS_USERNAME", "several users bear that name")
	errSessionNotFound  = rpcserver.Error(twirp.NotFound, "SESSION_NOT_FOUND", "no such session")
	errSessionExpired   = rpcserver.Error(twirp.NotFound, "SESSION_EXPIRED", "the session has expired")
	errSessionIDRefused = rpcserver.Error(twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id is not accepted here; send the token").WithMeta("argument", "session_id")
)
