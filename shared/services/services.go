// Package services makes all services of a program, for local, the benchmarks and the tests.
package services

import (
	"net/http"
	"strings"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessions"
	"github.com/osirose-new/database-service/shared/staff"
	"github.com/osirose-new/database-service/shared/users"
)

// Services are all services. Each is served by Twirp and by gRPC.
type Services struct {
	Users      databasev1.UserService
	Characters databasev1.CharacterDbService
	Sessions   databasev1.SessionService
	Staff      databasev1.StaffService
}

// New makes the services of p by its configuration.
func New(p *app.Program) Services {
	c := p.Config
	return Services{
		Users:      users.NewService(users.NewRepository(p.DB, p.Cache), c.Sessions.Verifier, c.Sessions.RefuseSessionID),
		Characters: characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config(c.Characters)),
		Sessions:   sessions.NewService(sessions.NewRepository(p.DB), sessions.Config(c.Sessions)),
		Staff:      staff.NewService(staff.NewRepository(p.DB, p.Cache), staff.ConfigOf(c.Characters)),
	}
}

// Twirp returns Twirp's servers, one for each service.
func (s Services) Twirp(o twirp.ServerOption) []databasev1.TwirpServer {
	return []databasev1.TwirpServer{
		databasev1.NewUserServiceServer(s.Users, o),
		databasev1.NewCharacterDbServiceServer(s.Characters, o),
		databasev1.NewSessionServiceServer(s.Sessions, o),
		databasev1.NewStaffServiceServer(s.Staff, o),
	}
}

// Handler returns Twirp's servers behind the edge. See [rpcserver.Server.Handler] for urgent.
func (s Services) Handler(edge *rpcserver.Server, urgent ...string) http.Handler {
	var all []route
	for _, server := range s.Twirp(edge.Options()) {
		all = append(all, route{server.PathPrefix(), server})
	}
	return edge.Handler(router(all), urgent...)
}

// router finds the server of a path. A ServeMux would take apart each path once more than Twirp does.
type router []route

type route struct {
	prefix string
	server http.Handler
}

// ServeHTTP implements http.Handler.
func (all router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, to := range all {
		if strings.HasPrefix(r.URL.Path, to.prefix) {
			to.server.ServeHTTP(w, r)
			return
		}
	}
	rpcserver.NotFound(w, r)
}
