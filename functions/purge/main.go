// Command purge is the scheduled Lambda function that finishes due deletions of characters. Nothing is wrong while it
// does not run, but for the room and the names that they keep.
package main

import (
	"context"

	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
)

func main() {
	p := boot.Function(lambdahttp.MaxConcurrency())
	repository := characters.NewRepository(p.DB, p.Cache)
	lambdahttp.StartTask(func(ctx context.Context) error {
		done, err := repository.Purge(ctx)
		p.Log.Info("purged", "finished", done.Finished, "forgotten", done.Forgotten)
		return err
	})
}
