package main

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

// streams is a pool of gRPC connections. Each connection is in it once for each call that it may carry at a time.
type streams struct{ free chan *grpc.ClientConn }

// newStreams returns as many streams as the load has connections, with that many on each gRPC connection.
func newStreams(p *process, each int) *streams {
	s := &streams{make(chan *grpc.ClientConn, p.connections)}
	for range max(1, p.connections/each) {
		c, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(p.urls[stack], "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			panic(err) // only for a malformed address
		}
		for range each {
			s.free <- c
		}
	}
	return s
}

// invoke makes a call on a free stream.
func (s *streams) invoke(ctx context.Context, method string, request, answer any) error {
	c := <-s.free
	defer func() { s.free <- c }()
	return c.Invoke(ctx, "/osirose.database.v1."+method, request, answer)
}

func (s *streams) users() databasev1.UserService             { return grpcUsers{streams: s} }
func (s *streams) sessions() databasev1.SessionService       { return grpcSessions{streams: s} }
func (s *streams) characters() databasev1.CharacterDbService { return grpcCharacters{streams: s} }

// Clients of the rpcs that are measured.
type (
	grpcUsers struct {
		databasev1.UserService
		streams *streams
	}
	grpcSessions struct {
		databasev1.SessionService
		streams *streams
	}
	grpcCharacters struct {
		databasev1.CharacterDbService
		streams *streams
	}
)

func (c grpcUsers) GetUser(ctx context.Context, r *databasev1.GetUserRequest) (*databasev1.GetUserResponse, error) {
	answer := &databasev1.GetUserResponse{}
	return answer, c.streams.invoke(ctx, "UserService/GetUser", r, answer)
}

func (c grpcSessions) GetSession(ctx context.Context, r *databasev1.GetSessionRequest) (*databasev1.GetSessionResponse, error) {
	answer := &databasev1.GetSessionResponse{}
	return answer, c.streams.invoke(ctx, "SessionService/GetSession", r, answer)
}

func (c grpcCharacters) GetCharacterList(ctx context.Context, r *databasev1.GetCharacterListRequest) (*databasev1.GetCharacterListResponse, error) {
	answer := &databasev1.GetCharacterListResponse{}
	return answer, c.streams.invoke(ctx, "CharacterDbService/GetCharacterList", r, answer)
}
