// Package sessions answers whether a session is live, and moves a live one's expiry later. better-auth owns the
// sessions; nothing else of them is ever changed here.
//
// Nothing is cached: a session that was revoked before a call starts is refused by that call. Whether one has expired is
// decided by the database's clock.
package sessions

import (
	"context"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

var _ databasev1.SessionService = (*Service)(nil)

const (
	// DefaultWindow is how far from now a refresh moves the expiry.
	DefaultWindow = time.Hour
	// DefaultCap is how far from its creation a session can be extended at all.
	DefaultCap = 30 * 24 * time.Hour
	// maxSessionID is the longest session id in bytes.
	maxSessionID = 256
)

// Config of a Service.
type Config struct {
	Verifier        sessiontoken.Verifier
	RefuseSessionID bool          // answer SESSION_ID_REFUSED to every session_id
	Window, Cap     time.Duration // defaults: DefaultWindow, DefaultCap
}

// Service is SessionService.
type Service struct {
	repository *Repository
	config     Config
}

// NewService returns a SessionService.
func NewService(r *Repository, c Config) *Service {
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.Cap == 0 {
		c.Cap = DefaultCap
	}
	return &Service{repository: r, config: c}
}

// GetSession implements databasev1.SessionService.
func (s *Service) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	k, err := s.key(r.Session, r.GetToken(), r.GetSessionId())
	if err != nil {
		return nil, err
	}
	row, err := s.repository.ByKey(ctx, k)
	if err != nil {
		return nil, err
	}
	return &databasev1.GetSessionResponse{Session: row.proto()}, nil
}

// RefreshSession implements databasev1.SessionService.
func (s *Service) RefreshSession(ctx context.Context, r *databasev1.RefreshSessionRequest) (*databasev1.RefreshSessionResponse, error) {
	k, err := s.key(r.Session, r.GetToken(), r.GetSessionId())
	if err != nil {
		return nil, err
	}
	if r.ExtendSeconds < 0 {
		return nil, rpcserver.InvalidArgument("extend_seconds", "is negative")
	}
	window := s.config.Window
	if r.ExtendSeconds > 0 {
		window = min(window, time.Duration(r.ExtendSeconds)*time.Second)
	}
	row, extended, err := s.repository.Extend(ctx, k, window, s.config.Cap)
	if err != nil {
		return nil, err
	}
	return &databasev1.RefreshSessionResponse{Session: row.proto(), Extended: extended}, nil
}

// Key is what a caller has of a session: the token, which is the credential, or the id of the row.
type Key struct {
	Token string // set, or else
	ID    string
}

// key checks the session of a request, given as its oneof.
func (s *Service) key(oneof any, token, id string) (Key, error) {
	switch oneof.(type) {
	case nil:
		return Key{}, rpcserver.InvalidArgument("session", "is required: token or session_id")
	case *databasev1.GetSessionRequest_SessionId, *databasev1.RefreshSessionRequest_SessionId:
		if err := rpcserver.CheckText("session_id", id, maxSessionID); err != nil {
			return Key{}, err
		}
		if s.config.RefuseSessionID {
			return Key{}, errIDRefused
		}
		return Key{ID: id}, nil
	}
	if err := rpcserver.CheckText("token", token, sessiontoken.MaxLen); err != nil {
		return Key{}, err
	}
	t, ok := s.config.Verifier.Token(token)
	if !ok {
		return Key{}, errNotFound
	}
	return Key{Token: t}, nil
}
