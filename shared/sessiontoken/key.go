package sessiontoken

import (
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// maxID is the longest id of a session in bytes.
const maxID = 256

// These errors are for the caller. UserService and SessionService both return them.
var (
	ErrNotFound  = rpcserver.Error(twirp.NotFound, "SESSION_NOT_FOUND", "no such session")
	ErrExpired   = rpcserver.Error(twirp.NotFound, "SESSION_EXPIRED", "the session has expired")
	ErrIDRefused = rpcserver.Error(twirp.InvalidArgument, "SESSION_ID_REFUSED", "session_id is not accepted here; send the token").WithMeta("argument", "session_id")
	// ErrMissing is the answer to a request without token and session_id.
	ErrMissing = rpcserver.InvalidArgument("session", "is required: token or session_id")
)

// Key names a session, by its token or by the id of its row. One of the two is set.
type Key struct{ Token, ID string }

// Keys makes Keys from what callers send.
type Keys struct {
	Verifier Verifier
	RefuseID bool // answer ErrIDRefused to every id
}

// Token returns the Key for the token of a request. Its errors are for the caller.
func (k Keys) Token(raw string) (Key, error) {
	if err := rpcserver.CheckText("token", raw, MaxLen); err != nil {
		return Key{}, err
	}
	token, ok := k.Verifier.Token(raw)
	if !ok {
		return Key{}, ErrNotFound
	}
	return Key{Token: token}, nil
}

// ID returns the Key for the session_id of a request. Its errors are for the caller.
func (k Keys) ID(id string) (Key, error) {
	if err := rpcserver.CheckText("session_id", id, maxID); err != nil {
		return Key{}, err
	}
	if k.RefuseID {
		return Key{}, ErrIDRefused
	}
	return Key{ID: id}, nil
}
