package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
)

const (
	seededUsers = 8000 // the first half has five characters each
	withRoster  = seededUsers / 2
	withItems   = 1000 // the last ones have three characters with 30 items each
)

//go:embed seed.sql
var seedSQL string

// world is PostgreSQL and Redis with users in them.
type world struct {
	*testbed.Bed
	users      []string // ids
	tokens     []string // of the users' sessions
	characters []int64  // the users' first ones, about 4 KB each
}

func newWorld(ctx context.Context) (*world, error) {
	bed, err := testbed.Start(ctx, testbed.Options{
		Postgres: map[string]string{
			"synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "256MB",
		},
		Seed: fmt.Sprintf(seedSQL, seededUsers, withRoster, withItems),
	})
	if err != nil {
		return nil, err
	}
	w := &world{Bed: bed}
	return w, w.readIDs(ctx)
}

// readIDs reads what the seed made.
func (w *world) readIDs(ctx context.Context) error {
	rows, err := w.DB.Query(ctx, `SELECT u.id, s.token, coalesce(c.id, 0)
  FROM "user" AS u
  JOIN session AS s ON s."userId" = u.id
  LEFT JOIN game.character AS c ON c.user_id = u.id AND c.slot = 0
 ORDER BY u."createdAt"`)
	if err != nil {
		return err
	}
	var id, token string
	var character int64
	_, err = pgx.ForEachRow(rows, []any{&id, &token, &character}, func() error {
		w.users, w.tokens = append(w.users, id), append(w.tokens, token)
		if character != 0 {
			w.characters = append(w.characters, character)
		}
		return nil
	})
	return err
}
