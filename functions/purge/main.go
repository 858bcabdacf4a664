// Command purge is the scheduled Lambda function that finishes due deletions of characters. While it does not run, answers stay
// right; the rows only take up space.
package main

import (
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
)

func main() {
	p := app.Function(lambdahttp.MaxConcurrency())
	lambdahttp.StartTask(characters.PurgeTask(characters.NewRepository(p.DB, p.Cache), p.Log))
}
