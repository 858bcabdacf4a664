package sessions

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// What callers of SessionService see, besides rpcserver.InvalidArgument and what every service may answer.
var (
	errNotFound     = rpcserver.Error(twirp.NotFound, "SESSION_NOT_FOUND", "no such session")
	errExpired      = rpcserver.Error(twirp.NotFound, "SESSION_EXPIRED", "the session has expired")
	errBanned       = rpcserver.Error(twirp.PermissionDenied, "USER_BANNED", "the user is banned")
	errImpersonated = rpcserver.Error(twirp.FailedPrecondition, "SESSION_IMPERSONATED", "an administrator's impersonation is not extended")
	errIDRefused    = rpcserver.Error(twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id is not accepted here; send the token").WithMeta("argument", "session_id")
)
