// Command user is the Lambda function of UserService.
package main

import (
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/users"
)

func main() {
	p := app.Function(lambdahttp.MaxConcurrency())
	edge := p.Edge()
	service := users.NewService(users.NewRepository(p.DB, p.Cache), p.Config.Sessions.Verifier, p.Config.Sessions.RefuseSessionID)
	lambdahttp.Start(p.Log, edge.Handler(databasev1.NewUserServiceServer(service, edge.Options())), p.Telemetry.Finish)
}
