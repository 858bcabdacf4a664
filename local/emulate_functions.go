package main

import (
	"github.com/osirose-new/database-service/local/emulator"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/services"
)

// functionOf returns the logical id in template.yaml of a service's function.
func functionOf(pathPrefix string) string {
	return map[string]string{
		databasev1.UserServicePathPrefix:        "UserFunction",
		databasev1.CharacterDbServicePathPrefix: "CharacterFunction",
		databasev1.SessionServicePathPrefix:     "SessionFunction",
		databasev1.StaffServicePathPrefix:       "StaffFunction",
	}[pathPrefix]
}

// inProcess returns the handlers of all functions, made as their main packages make them.
func inProcess(p *app.Program) map[string]emulator.Handler {
	edge := p.Edge()
	handlers := map[string]emulator.Handler{}
	for _, s := range services.New(p).Twirp(edge.Options()) {
		handlers[functionOf(s.PathPrefix())] = lambdahttp.New(p.Log, edge.Handler(s)).Finish(p.Telemetry.Finish)
	}
	handlers["PurgeFunction"] = lambdahttp.Task(characters.PurgeTask(characters.NewRepository(p.DB, p.Cache), p.Log))
	return handlers
}
