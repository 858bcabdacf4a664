// Command purge is the scheduled Lambda function that finishes due deletions of characters. Nothing is wrong while it
// does not run, but for the room and the names that they keep.
package main

import (
	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
)

func main() {
	p := boot.Function(lambdahttp.MaxConcurrency())
	lambdahttp.StartTask(characters.PurgeTask(characters.NewRepository(p.DB, p.Cache), p.Log))
}
