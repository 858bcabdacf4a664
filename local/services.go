package main

import (
	"net/http"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/users"
)

// routes is everything that the port answers. What watches the service is neither limited nor logged.
func routes(p *boot.Program, h *health) http.Handler {
	edge := p.Edge()
	rpc := http.NewServeMux()
	for _, s := range services(p, edge.Options()) {
		rpc.Handle(s.PathPrefix(), s)
	}
	rpc.HandleFunc("/", rpcserver.NotFound)
	mux := http.NewServeMux()
	mux.Handle("/", edge.Handler(rpc, urgent...))
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
	return mux
}

// urgent are the calls that decide who gets in: they are served when the program has to refuse others.
var urgent = []string{databasev1.SessionServicePathPrefix, databasev1.UserServicePathPrefix + "GetUserBySession"}

// services are all that there are, a line each.
func services(p *boot.Program, o twirp.ServerOption) []databasev1.TwirpServer {
	c := p.Config
	return []databasev1.TwirpServer{
		databasev1.NewUserServiceServer(users.NewService(users.NewRepository(p.DB, p.Cache), c.Sessions.Verifier, c.Sessions.RefuseSessionID), o),
		databasev1.NewCharacterDbServiceServer(characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config(c.Characters)), o),
		databasev1.NewSessionServiceServer(sessions.NewService(sessions.NewRepository(p.DB), sessions.Config(c.Sessions)), o),
	}
}
