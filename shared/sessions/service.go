// Package sessions returns live sessions and extends them. better-auth owns the sessions; this package changes only
// their expiry.
//
// Nothing is cached: a call refuses a session that was revoked before the call started. The database's clock decides
// whether a session has expired.
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
	// DefaultWindow is the time from a refresh to the new expiry.
	DefaultWindow = time.Hour
	// DefaultCap bounds the expiry that a refresh sets, counted from the session's creation.
	DefaultCap = 30 * 24 * time.Hour
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
	keys       sessiontoken.Keys
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
	return &Service{repository: r, keys: sessiontoken.Keys{Verifier: c.Verifier, RefuseID: c.RefuseSessionID}, config: c}
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
	return &databasev1.GetSessionResponse{Session: proto(row)}, nil
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
	return &databasev1.RefreshSessionResponse{Session: proto(row), Extended: extended}, nil
}

// key returns the key of a request. session is the request's oneof.
func (s *Service) key(session any, token, id string) (sessiontoken.Key, error) {
	switch session.(type) {
	case *databasev1.GetSessionRequest_Token, *databasev1.RefreshSessionRequest_Token:
		return s.keys.Token(token)
	case *databasev1.GetSessionRequest_SessionId, *databasev1.RefreshSessionRequest_SessionId:
		return s.keys.ID(id)
	}
	return sessiontoken.Key{}, sessiontoken.ErrMissing
}
