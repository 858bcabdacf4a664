package sessions

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// Errors for callers of SessionService. It also returns rpcserver.InvalidArgument, the errors of sessiontoken, and the
// errors of every service.
var (
	errExpired      = sessiontoken.ErrExpired
	errBanned       = rpcserver.Error(twirp.PermissionDenied, "USER_BANNED", "the user is banned")
	errImpersonated = rpcserver.Error(twirp.FailedPrecondition, "SESSION_IMPERSONATED", "an administrator's impersonation is not extended")
)
