package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	loopback     = "127.0.0.1"
	database     = "reliability"
	webLogin     = "web_application" // owns better-auth's tables
	serviceLogin = "game_service"

	seededUsers = 400 // each with a session and two characters
)

//go:embed seed.sql
var seedSQL string

// world is what one part runs on: PostgreSQL and Redis with something in them, and the servers that it starts.
type world struct {
	options
	program *program
	dir     string             // temporary, for logs and the like
	pg      *embedded.Postgres // the primary; see setPrimary
	redis   *redisServer       // where new processes are sent to; see newRedis for more of them
	db      *pgxpool.Pool      // as superuser, past the proxies: the web application, and whoever checks

	users      []string // ids
	tokens     []string // of the users' sessions
	characters []int64  // the users' first ones
	seconds    []int64  // and their second ones

	processes []*process
	redises   []*redisServer
	primary   atomic.Pointer[string] // address of pg, for db
}

// newWorld returns what there is of it also with an error, for close.
func newWorld(ctx context.Context, p *program, o options) (w *world, err error) {
	w = &world{options: o, program: p}
	if w.dir, err = os.MkdirTemp("", "reliability-"); err != nil {
		return w, err
	}
	if w.redis, err = w.newRedis(ctx); err != nil {
		return w, err
	}
	// A commit that was acknowledged must survive a crash of the server, so synchronous_commit stays on. A restart must
	// not wait for a checkpoint of pages that nobody needs.
	w.pg, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Trust: true, Settings: map[string]string{
		"max_connections": "200", "shared_buffers": "128MB", "full_page_writes": "off", "checkpoint_timeout": "1h",
	}})
	if err != nil {
		return w, err
	}
	return w, w.makeDatabase(ctx)
}

// newRedis starts another redis-server, which ends with the world.
func (w *world) newRedis(ctx context.Context, args ...string) (*redisServer, error) {
	r, err := startRedis(ctx, w.dir, args...)
	if r != nil {
		w.redises = append(w.redises, r)
	}
	return r, err
}

// servers names what the world runs on.
func (w *world) servers(ctx context.Context) string {
	return fmt.Sprintf("PostgreSQL %s; Redis %s", w.pg.Version(), w.redis.version(ctx))
}

func (w *world) close() error {
	var errs []error
	for _, p := range w.processes {
		errs = append(errs, p.close())
	}
	if w.db != nil {
		w.db.Close()
	}
	for _, r := range w.redises {
		r.close()
	}
	if w.pg != nil {
		errs = append(errs, w.pg.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// makeDatabase makes better-auth's tables and ours, with the roles that a deployment has.
func (w *world) makeDatabase(ctx context.Context) error {
	tables, err := embedded.Schemas.ReadFile("schema/plugins.sql")
	if err != nil {
		return err
	}
	roles := strings.NewReplacer("{web}", webLogin, "{role}", migrations.DefaultRole, "{service}", serviceLogin, "{db}", database)
	err = w.exec(ctx, "postgres", roles.Replace("CREATE ROLE {web} LOGIN; CREATE ROLE {role}; CREATE ROLE {service} LOGIN IN ROLE {role}"),
		roles.Replace("CREATE DATABASE {db} OWNER {web}"))
	if err == nil {
		err = w.exec(ctx, database, roles.Replace("GRANT CREATE ON SCHEMA public TO {web}; SET ROLE {web}; ")+string(tables))
	}
	if err == nil {
		err = w.migrate(ctx)
	}
	if err == nil {
		err = w.exec(ctx, database, fmt.Sprintf(seedSQL, seededUsers), "VACUUM ANALYZE")
	}
	if err == nil {
		err = w.openPool(ctx)
	}
	if err != nil {
		return err
	}
	return w.look(ctx)
}

func (w *world) openPool(ctx context.Context) error {
	cfg, err := pgxpool.ParseConfig(w.pg.URL(database) + "&pool_max_conns=32")
	if err != nil {
		return err
	}
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		a, err := netip.ParseAddrPort(*w.primary.Load())
		c.Host, c.Port = a.Addr().String(), a.Port()
		return err
	}
	addr := w.pg.Addr()
	w.primary.Store(&addr)
	w.db, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}

// setPrimary has db go to another server. Where the processes go, their proxies say.
func (w *world) setPrimary(pg *embedded.Postgres) {
	addr := pg.Addr()
	w.pg = pg
	w.primary.Store(&addr)
	w.db.Reset()
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

// look reads what was seeded.
func (w *world) look(ctx context.Context) error {
	rows, err := w.db.Query(ctx, `SELECT s."userId", s.token, c.id, d.id
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
