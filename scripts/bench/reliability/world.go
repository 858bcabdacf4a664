package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const seededUsers = 400 // each with a session and two characters

//go:embed seed.sql
var seedSQL string

// world is what one part runs on: PostgreSQL and Redis with users in them, and the servers that the part starts.
type world struct {
	*testbed.Bed
	options
	program *program

	users      []string // ids
	tokens     []string // of the users' sessions
	characters []int64  // the users' first ones
	seconds    []int64  // and their second ones

	processes []*process
}

func newWorld(ctx context.Context, p *program, o options) (*world, error) {
	// A commit that was acknowledged must survive a crash of the server, so synchronous_commit stays on. A restart must not
	// wait for a checkpoint.
	bed, err := testbed.Start(ctx, testbed.Options{
		Postgres: map[string]string{
			"max_connections": "200", "shared_buffers": "128MB", "full_page_writes": "off", "checkpoint_timeout": "1h",
		},
		Seed: fmt.Sprintf(seedSQL, seededUsers),
	})
	if err != nil {
		return nil, err
	}
	w := &world{Bed: bed, options: o, program: p}
	if err := w.readIDs(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error {
	var errs []error
	for _, p := range w.processes {
		errs = append(errs, p.close())
	}
	return errors.Join(append(errs, w.Close())...)
}

// readIDs reads what the seed made.
func (w *world) readIDs(ctx context.Context) error {
	rows, err := w.DB.Query(ctx, `SELECT s."userId", s.token, c.id, d.id
  FROM session AS s
  JOIN game.character AS c ON c.user_id = s."userId" AND c.slot = 0
  JOIN game.character AS d ON d.user_id = s."userId" AND d.slot = 1
 ORDER BY c.id`)
	if err != nil {
		return err
	}
	var user, token string
	var character, second int64
	_, err = pgx.ForEachRow(rows, []any{&user, &token, &character, &second}, func() error {
		w.users, w.tokens = append(w.users, user), append(w.tokens, token)
		w.characters, w.seconds = append(w.characters, character), append(w.seconds, second)
		return nil
	})
	return err
}
