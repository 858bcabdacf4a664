// Command session is the Lambda function of SessionService.
package main

import (
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/sessions"
)

func main() {
	p := app.Function(lambdahttp.MaxConcurrency())
	edge := p.Edge()
	service := sessions.NewService(sessions.NewRepository(p.DB), sessions.Config(p.Config.Sessions))
	lambdahttp.Start(p.Log, edge.Handler(databasev1.NewSessionServiceServer(service, edge.Options())), p.Telemetry.Finish)
}
