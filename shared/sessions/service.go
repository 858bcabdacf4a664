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

// key returns the key of a request, whose oneof is session.
func (s *Service) key(session any, token, id string) (sessiontoken.Key, error) {
	switch session.(type) {
	case *databasev1.GetSessionRequest_Token, *databasev1.RefreshSessionRequest_Token:
		return s.keys.Token(token)
	case *databasev1.GetSessionRequest_SessionId, *databasev1.RefreshSessionRequest_SessionId:
		return s.keys.ID(id)
	}
	return sessiontoken.Key{}, sessiontoken.ErrMissing
}
