package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	maxMemory  = 1.2 // GetUser from the process's memory, to a constant Twirp answer
	maxHit     = 1.8 // GetUser from Redis, to a constant Twirp answer
	maxSession = 1.2 // GetSession, to Twirp with one SELECT
	maxWhose   = 1.4 // GetUserBySession, to the same
	maxStream  = 1.8 // gRPC with one request at a time on a connection, to the same call by Twirp
	maxStreams = 1.1 // the same with eight requests at a time
	maxJSON    = 1.4 // JSON, to protobuf
	maxKey     = 1.2 // a caller with an API key, to any caller
	maxMiss    = 1.5 // a BASIC list on a miss, to Twirp with its SELECT
	maxFull    = 6.1 // a FULL list, to a constant Twirp answer: 100 us if that takes 16.4

	constantVariant  = "Twirp, constant"
	selectVariant    = "Twirp, one SELECT"
	statementVariant = "Twirp, GetSession's statement"
	listVariant      = "Twirp, SELECT of five rows"
	memoryVariant    = "GetUser in the process"
	hitVariant       = "GetUser hit"
	sessionVariant   = "GetSession"
)

// newVariants returns the paths through p, and through other, the server to compare with.
func newVariants(w *world, p, other *process) []*variant {
	sessions, users, characters := p.sessions(stack), p.users(stack), p.characters(stack)
	one, eight := newStreams(p, 1), newStreams(p, 8)
	return []*variant{
		{name: constantVariant, server: other, call: getUser(w, other.users(plain))},
		{name: "Twirp, go-redis GET", server: other, call: getUser(w, other.users(plainGet))},
		{name: memoryVariant, goal: maxMemory, call: getUser(w, p.users(remembering))},
		{name: hitVariant, goal: maxHit, call: getUser(w, users)},
		{name: selectVariant, server: other, call: getUser(w, other.users(plainRow))},
		{name: statementVariant, server: other, base: selectVariant, call: getSession(w, other.sessions(plainSession))},
		{name: sessionVariant, base: selectVariant, goal: maxSession, call: getSession(w, sessions)},
		{name: "GetUserBySession", base: selectVariant, goal: maxWhose, call: func(ctx context.Context, i int) error {
			token := &databasev1.GetUserBySessionRequest_Token{Token: w.tokens[i%len(w.tokens)]}
			_, err := users.GetUserBySession(ctx, &databasev1.GetUserBySessionRequest{Session: token})
			return err
		}},
		{name: "GetCharacter FULL 4 KB hit", base: hitVariant, call: func(ctx context.Context, i int) error {
			_, err := characters.GetCharacter(ctx, &databasev1.GetCharacterRequest{CharacterId: w.characters[i%len(w.characters)]})
			return err
		}},
		{name: listVariant, server: other, call: getList(w, other.characters(plainList))},
		{name: "GetCharacterList BASIC hit", base: hitVariant, call: getList(w, characters)},
		{name: "GetCharacterList BASIC miss", base: listVariant, goal: maxMiss, call: getList(w, characters), prepare: func(ctx context.Context, n int) error {
			return w.forget(ctx, "characters:", n)
		}},
		{name: "GetCharacterList FULL, 3 x 30 items", goal: maxFull, call: getFullList(w, characters)},
		{name: "GetUser hit, caller with a key", base: hitVariant, goal: maxKey, call: getUser(w, withKey{p.users(guarded), p.urls[callerKey]})},
		{name: "GetUser hit, JSON", base: hitVariant, goal: maxJSON, call: getUser(w, p.jsonUsers(stack))},
		{name: "GetUser hit, gRPC, 1 stream a connection", base: hitVariant, goal: maxStream, call: getUser(w, one.users())},
		{name: "GetUser hit, gRPC, 8 streams a connection", base: hitVariant, goal: maxStreams, call: getUser(w, eight.users())},
		{name: "GetSession, gRPC, 1 stream a connection", base: sessionVariant, goal: maxStream, call: getSession(w, one.sessions())},
		{name: "GetSession, gRPC, 8 streams a connection", base: sessionVariant, goal: maxStreams, call: getSession(w, eight.sessions())},
	}
}

// withKey sends an API key.
type withKey struct {
	databasev1.UserService
	key string
}

// GetUser implements databasev1.UserService.
func (k withKey) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	ctx, err := twirp.WithHTTPRequestHeaders(ctx, http.Header{"Authorization": {"Bearer " + k.key}})
	if err != nil {
		return nil, err
	}
	return k.UserService.GetUser(ctx, r)
}

// The calls cycle through the users that have characters.

func getUser(w *world, s databasev1.UserService) call {
	return func(ctx context.Context, i int) error {
		_, err := s.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.users[i%withRoster]})
		return err
	}
}

func getSession(w *world, s databasev1.SessionService) call {
	return func(ctx context.Context, i int) error {
		token := &databasev1.GetSessionRequest_Token{Token: w.tokens[i%withRoster]}
		_, err := s.GetSession(ctx, &databasev1.GetSessionRequest{Session: token})
		return err
	}
}

func getList(w *world, s databasev1.CharacterDbService) call {
	return func(ctx context.Context, i int) error {
		l, err := s.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: w.users[i%withRoster]})
		if err == nil && len(l.Characters) != 5 {
			err = fmt.Errorf("%d characters", len(l.Characters))
		}
		return err
	}
}

func getFullList(w *world, s databasev1.CharacterDbService) call {
	return func(ctx context.Context, i int) error {
		user := w.users[seededUsers-1-i%withItems]
		l, err := s.GetCharacterList(ctx, &databasev1.GetCharacterListRequest{UserId: user, View: databasev1.CharacterView_CHARACTER_VIEW_FULL})
		if err == nil && len(l.Characters) != 3 {
			err = fmt.Errorf("%d characters", len(l.Characters))
		}
		return err
	}
}
