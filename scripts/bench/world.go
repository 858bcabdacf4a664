package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	database     = "bench"
	webRole      = "web_application" // owns better-auth's tables
	serviceLogin = "game_service"

	seededUsers = 8000 // the first half has five characters each
	withRoster  = seededUsers / 2
)

//go:embed seed.sql
var seedSQL string

// world is PostgreSQL and Redis with something in them, for servers to run on.
type world struct {
	dir        string
	pg         *embedded.Postgres
	redis      *redisServer
	db         *pgxpool.Pool // superuser
	users      []string      // ids
	tokens     []string      // of the users' sessions
	characters []int64       // the users' first ones, about 4 KB each
}

func newWorld(ctx context.Context) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return w, err
	}
	if w.redis, err = startRedis(ctx, w.dir); err != nil {
		return w, err
	}
	w.pg, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Trust: true, Settings: map[string]string{
		"synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "256MB",
	}})
	if err != nil {
		return w, err
	}
	return w, w.makeDatabase(ctx)
}

func (w *world) close() error {
	if w.db != nil {
		w.db.Close()
	}
	if w.redis != nil {
		w.redis.stop()
	}
	var err error
	if w.pg != nil {
		err = w.pg.Stop()
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// makeDatabase makes better-auth's tables and ours, with the roles that a deployment has.
func (w *world) makeDatabase(ctx context.Context) error {
	tables, err := embedded.Schemas.ReadFile("schema/plugins.sql")
	if err != nil {
		return err
	}
	err = w.exec(ctx, "postgres",
		fmt.Sprintf("CREATE ROLE %s LOGIN; CREATE ROLE %s; CREATE ROLE %s LOGIN IN ROLE %s",
			webRole, migrations.DefaultRole, serviceLogin, migrations.DefaultRole),
		"CREATE DATABASE "+database+" OWNER "+webRole)
	if err != nil {
		return err
	}
	err = w.exec(ctx, database, "GRANT CREATE ON SCHEMA public TO "+webRole+"; SET ROLE "+webRole+"; "+string(tables))
	if err != nil {
		return err
	}
	if err := w.migrate(ctx); err != nil {
		return err
	}
	if w.db, err = pgxpool.New(ctx, w.pg.URL(database)); err != nil {
		return err
	}
	return w.seed(ctx)
}

func (w *world) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, w.pg.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) migrate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.pg.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = migrations.Apply(ctx, conn, migrations.Options{})
	return err
}

func (w *world) seed(ctx context.Context) error {
	if err := w.exec(ctx, database, fmt.Sprintf(seedSQL, seededUsers, withRoster), "VACUUM ANALYZE"); err != nil {
		return err
	}
	rows, err := w.db.Query(ctx, `SELECT u.id, s.token, coalesce(c.id, 0)
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
