// Command purge is the scheduled Lambda function that finishes due deletions of characters. Nothing is wrong while it
// does not run, but for the room and the names that they keep.
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
