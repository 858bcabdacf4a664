// Command character is the Lambda function of CharacterDbService.
package main

import (
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
)

func main() {
	p := app.Function(lambdahttp.MaxConcurrency())
	edge := p.Edge()
	service := characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config(p.Config.Characters))
	lambdahttp.Start(p.Log, edge.Handler(databasev1.NewCharacterDbServiceServer(service, edge.Options())), p.Telemetry.Finish)
}
