// Command purge is the scheduled Lambda function that finishes due deletions of characters. Nothing is wrong while it
// does not run, but for the room and the names that they keep.
package main

import (
	"context"

	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/postgres"
)

func main() {
	p := boot.Function(lambdahttp.MaxConcurrency())
	repository := characters.NewRepository(p.DB, p.Cache)
	lambdahttp.StartTask(func(ctx context.Context) error {
		done, err := repository.Purge(ctx)
		log := p.Log.With("finished", done.Finished, "forgotten", done.Forgotten)
		if err != nil {
			log.ErrorContext(ctx, "purge failed", "cause", postgres.Describe(err))
			return err
		}
		log.InfoContext(ctx, "purged")
		return nil
	})
}
