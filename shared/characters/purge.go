package characters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// purgeBatch is the number of rows of one statement. They take some 20 ms of its 500 ms.
	purgeBatch = 100
	// maxRollbacks is how many times in a row the database may roll a batch back in favour of another transaction.
	maxRollbacks = 5

	// A locked row is left to its holder, or to the next purge. The rows change in the order of their users, because the
	// trigger locks a user's line in the change log: two purges in different orders would deadlock there. An array of one id
	// per row cannot be hashed, so the rows are looked up one by one, in that order.
	finishBatchSQL = `
WITH due AS MATERIALIZED (
       SELECT c.id, c.user_id
         FROM game.character AS c
        WHERE ` + due + `
        ORDER BY c.delete_at
        LIMIT 100
          FOR UPDATE SKIP LOCKED)
UPDATE game.character AS c
   SET ` + finish + `
  FROM (SELECT id FROM due ORDER BY user_id, id) AS batch
 WHERE c.id = ANY (ARRAY[batch.id])`

	// The service's role may delete no row. The function deletes those that are due, at most purgeBatch, in the same order.
	forgetBatchSQL = `SELECT game.forget_characters()`
)

// Purged counts the rows that a purge changed.
type Purged struct {
	Finished  int // characters whose deadline had passed
	Forgotten int // rows that were kept 30 days for support
}

// Purge finishes the deletions whose deadline has passed, so that a create with such a name or slot needs no second try.
// Then it deletes the rows of characters that have been gone for 30 days. It stops if nothing is left, or after 80 % of
// the time that ctx has. That is no error: the next purge continues. Any number of purges may run at once. On an error it
// returns the count so far, except for a batch whose result is unknown.
//
// Purge does not invalidate the cache. A cached reply hides every character whose deadline has passed, finished or not.
// What is forgotten has been invisible for 30 days.
//
// Purge does not touch the characters of missing users. If a user is deleted, the trigger on better-auth's table deletes
// their characters. If the user table is empty for another reason, for example during a restore, no character may be lost.
func (r *Repository) Purge(ctx context.Context) (Purged, error) { return r.purge(ctx, time.Now) }

// PurgeTask returns Purge with one log line for each run, for a scheduled function.
func PurgeTask(r *Repository, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		done, err := r.Purge(ctx)
		log := log.With("finished", done.Finished, "forgotten", done.Forgotten)
		if err != nil {
			log.ErrorContext(ctx, "purge failed", "cause", errtext.ForLog(err))
			return err
		}
		log.InfoContext(ctx, "purged")
		return nil
	}
}

func (r *Repository) purge(ctx context.Context, now func() time.Time) (done Purged, err error) {
	over := func() bool { return false }
	if deadline, ok := ctx.Deadline(); ok {
		start := now()
		stop := start.Add(deadline.Sub(start) * 4 / 5)
		over = func() bool { return !now().Before(stop) }
	}
	finish := func(ctx context.Context, q postgres.Querier) (int, error) {
		tag, err := q.Exec(ctx, finishBatchSQL)
		return int(tag.RowsAffected()), err
	}
	forget := func(ctx context.Context, q postgres.Querier) (int, error) {
		rows, err := q.Query(ctx, forgetBatchSQL)
		if err != nil {
			return 0, err
		}
		return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	}
	if done.Finished, err = r.batches(ctx, over, finish); err != nil {
		return done, fmt.Errorf("finish deletions: %w", err)
	}
	if done.Forgotten, err = r.batches(ctx, over, forget); err != nil {
		return done, fmt.Errorf("forget characters: %w", err)
	}
	return done, nil
}

// batches runs the statement until it changes less than a batch, and returns the number of changed rows.
func (r *Repository) batches(ctx context.Context, over func() bool, batch func(context.Context, postgres.Querier) (int, error)) (n int, err error) {
	for rollbacks := 0; !over(); {
		var changed int
		err := r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) (err error) {
			changed, err = batch(ctx, q)
			return err
		})
		if errors.Is(err, postgres.ErrRetry) && rollbacks < maxRollbacks {
			rollbacks++
			continue
		}
		if err != nil {
			return n, err
		}
		rollbacks = 0
		n += changed
		if changed < purgeBatch {
			return n, nil
		}
	}
	return n, nil
}
