// Package users returns users by id, username, e-mail or session. better-auth owns the users; this package only reads
// them.
//
// A user is at most 1 s stale (package cache). Exceptions:
//   - GetUserBySession is never stale: it reads user and session together from the primary.
//   - If the owner of the database refuses the triggers on the user table, a user is at most 10 s stale.
package users

import (
	"context"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

var _ databasev1.UserService = (*Service)(nil)

// maxArgument is the maximum length of an id, username or e-mail in bytes. An e-mail has at most 254 (RFC 5321,
// 4.5.3.1.3).
const maxArgument = 256

// Service is UserService.
type Service struct {
	repository *Repository
	keys       sessiontoken.Keys
}

// NewService returns a UserService. It refuses every session_id if refuseSessionID is set.
func NewService(r *Repository, v sessiontoken.Verifier, refuseSessionID bool) *Service {
	return &Service{repository: r, keys: sessiontoken.Keys{Verifier: v, RefuseID: refuseSessionID}}
}

// GetUser implements databasev1.UserService.
func (s *Service) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	if err := rpcserver.CheckText("user_id", r.UserId, maxArgument); err != nil {
		return nil, err
	}
	u, err := s.repository.ByID(ctx, r.UserId)
	if err != nil {
		return nil, err
	}
	return &databasev1.GetUserResponse{User: u}, nil
}

// GetUserByUsername implements databasev1.UserService.
func (s *Service) GetUserByUsername(ctx context.Context, r *databasev1.GetUserByUsernameRequest) (*databasev1.GetUserByUsernameResponse, error) {
	if err := rpcserver.CheckText("username", r.Username, maxArgument); err != nil {
		return nil, err
	}
	u, err := s.repository.ByUsername(ctx, r.Username)
	if err != nil {
		return nil, err
	}
	return &databasev1.GetUserByUsernameResponse{User: u}, nil
}

// GetUserByEmail implements databasev1.UserService.
func (s *Service) GetUserByEmail(ctx context.Context, r *databasev1.GetUserByEmailRequest) (*databasev1.GetUserByEmailResponse, error) {
	if err := rpcserver.CheckText("email", r.Email, maxArgument); err != nil {
		return nil, err
	}
	u, err := s.repository.ByEmail(ctx, r.Email)
	if err != nil {
		return nil, err
	}
	return &databasev1.GetUserByEmailResponse{User: u}, nil
}

// GetUserBySession implements databasev1.UserService.
func (s *Service) GetUserBySession(ctx context.Context, r *databasev1.GetUserBySessionRequest) (*databasev1.GetUserBySessionResponse, error) {
	k, err := s.sessionKey(r)
	if err != nil {
		return nil, err
	}
	u, session, err := s.repository.BySession(ctx, k)
	if err != nil {
		return nil, err
	}
	return &databasev1.GetUserBySessionResponse{User: u, Session: session}, nil
}

func (s *Service) sessionKey(r *databasev1.GetUserBySessionRequest) (sessiontoken.Key, error) {
	switch session := r.Session.(type) {
	case *databasev1.GetUserBySessionRequest_Token:
		return s.keys.Token(session.Token)
	case *databasev1.GetUserBySessionRequest_SessionId:
		return s.keys.ID(session.SessionId)
	}
	return sessiontoken.Key{}, sessiontoken.ErrMissing
}
