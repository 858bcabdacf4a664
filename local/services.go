package main

import (
	"net/http"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/grpcserver"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/users"
)

// routes returns the HTTP/1 handlers of the port. Health checks are neither limited nor logged.
func routes(edge *rpcserver.Server, s services, h *health) http.Handler {
	rpc := http.NewServeMux()
	for _, handler := range s.twirp(edge.Options()) {
		rpc.Handle(handler.PathPrefix(), handler)
	}
	rpc.HandleFunc("/", rpcserver.NotFound)
	mux := http.NewServeMux()
	mux.Handle("/", edge.Handler(rpc, grpcserver.Urgent...))
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
	return mux
}

// services are all services. Each is served by Twirp and by gRPC.
type services struct {
	users      *users.Service
	characters *characters.Service
	sessions   *sessions.Service
}

func newServices(p *app.Program) services {
	c := p.Config
	return services{
		users:      users.NewService(users.NewRepository(p.DB, p.Cache), c.Sessions.Verifier, c.Sessions.RefuseSessionID),
		characters: characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config(c.Characters)),
		sessions:   sessions.NewService(sessions.NewRepository(p.DB), sessions.Config(c.Sessions)),
	}
}

func (s services) twirp(o twirp.ServerOption) []databasev1.TwirpServer {
	return []databasev1.TwirpServer{
		databasev1.NewUserServiceServer(s.users, o),
		databasev1.NewCharacterDbServiceServer(s.characters, o),
		databasev1.NewSessionServiceServer(s.sessions, o),
	}
}

func (s services) grpc() []grpcserver.Service {
	return []grpcserver.Service{grpcserver.Users(s.users), grpcserver.Characters(s.characters), grpcserver.Sessions(s.sessions)}
}
