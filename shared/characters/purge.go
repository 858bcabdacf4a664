package characters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
)

const (
	// purgeBatch is the rows of one statement: some 20 ms of the 500 ms that it has.
	purgeBatch = 100
	// maxRollbacks is how many times in a row the database may undo a batch for the sake of another transaction.
	maxRollbacks = 5

	// A row that somebody else holds is left to them, or to the next purge. The rows change in the order of their users,
	// since the trigger locks a user's line in the change log: two purges that met there the other way round would wait
	// for each other. Such an array cannot be hashed, so the rows are looked up one by one, in that order.
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

	// With its row a character's request id goes, too: nobody sends a create again after a month.
	forgetBatchSQL = `
WITH old AS MATERIALIZED (
       SELECT c.id, c.user_id
         FROM game.character AS c
        WHERE c.deleted_at < now() - interval '30 days'
        ORDER BY c.deleted_at
        LIMIT 100
          FOR UPDATE SKIP LOCKED)
DELETE FROM game.character AS c
 USING (SELECT id FROM old ORDER BY user_id, id) AS batch
 WHERE c.id = ANY (ARRAY[batch.id])`
)

// Purged counts the rows that a purge changed.
type Purged struct {
	Finished  int // characters whose deadline had passed
	Forgotten int // rows that were kept for support long enough
}

// Purge finishes the deletions whose deadline has passed, so that their names and slots cost nobody a second try, and
// then deletes the rows of characters that have been gone for 30 days. It goes on until nothing is left, or until 80 %
// of the time that ctx has are over, which is no error: the next purge goes on there. Any number of purges may run at
// once. Whatever is done is counted also where there is an error, but for a batch whose outcome nobody knows.
//
// The cache is told nothing. A cached reply leaves out whoever's deadline has passed, whether somebody finished it or
// not, and what is forgotten has been invisible for 30 days.
//
// It leaves alone the characters of users who are not there. The trigger on better-auth's table lets go those of a user
// who is deleted; a user table that is empty for another reason, a restore say, must not cost everybody's characters.
func (r *Repository) Purge(ctx context.Context) (Purged, error) { return r.purge(ctx, time.Now) }

// PurgeTask is Purge with one log line for each run, as a scheduled function wants it.
func PurgeTask(r *Repository, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		done, err := r.Purge(ctx)
		log := log.With("finished", done.Finished, "forgotten", done.Forgotten)
		if err != nil {
			log.ErrorContext(ctx, "purge failed", "cause", postgres.Describe(err))
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
	if done.Finished, err = r.batches(ctx, over, finishBatchSQL); err != nil {
		return done, fmt.Errorf("finish deletions: %w", err)
	}
	if done.Forgotten, err = r.batches(ctx, over, forgetBatchSQL); err != nil {
		return done, fmt.Errorf("forget characters: %w", err)
	}
	return done, nil
}

// batches runs the statement until it finds less than a batch, and returns how many rows it changed.
func (r *Repository) batches(ctx context.Context, over func() bool, sql string) (n int, err error) {
	for rollbacks := 0; !over(); {
		var tag pgconn.CommandTag
		err := r.db.Write(ctx, func(ctx context.Context, q postgres.Querier) (err error) {
			tag, err = q.Exec(ctx, sql)
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
		n += int(tag.RowsAffected())
		if tag.RowsAffected() < purgeBatch {
			return n, nil
		}
	}
	return n, nil
}
