// Command staff is the Lambda function of StaffService.
package main

import (
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/staff"
)

func main() {
	p := app.Function(lambdahttp.MaxConcurrency())
	edge := p.Edge()
	service := staff.NewService(staff.NewRepository(p.DB, p.Cache), staff.ConfigOf(p.Config.Characters))
	lambdahttp.Start(p.Log, edge.Handler(databasev1.NewStaffServiceServer(service, edge.Options())), p.Telemetry.Finish)
}
