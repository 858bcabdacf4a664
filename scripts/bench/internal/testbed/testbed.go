// Package testbed starts what the benchmarks run on: PostgreSQL with better-auth's tables, the service's schema and the
// roles of a deployment, and Redis. All listen on 127.0.0.1 and end with this program.
package testbed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	// Loopback is the address that everything listens on.
	Loopback = "127.0.0.1"

	database     = "bench"
	webLogin     = "web_application" // owns better-auth's tables
	serviceLogin = "game_service"
)

// Options of a Bed.
type Options struct {
	Postgres map[string]string // settings of postgresql.conf
	Seed     string            // SQL that fills the tables
}

// Bed is PostgreSQL and Redis with data in them.
type Bed struct {
	Dir      string             // temporary, for example for logs; removed by Close
	Postgres *embedded.Postgres // the primary; see SetPrimary
	Redis    *Redis             // the one that new servers use; see NewRedis for more of them
	DB       *pgxpool.Pool      // connects to the primary directly, as superuser

	redises []*Redis
	primary atomic.Pointer[string] // host:port, for DB
}

// Start starts a Bed. If it fails, it stops what it has started.
func Start(ctx context.Context, o Options) (*Bed, error) {
	b := &Bed{}
	if err := b.start(ctx, o); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bed) start(ctx context.Context, o Options) (err error) {
	if b.Dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	if b.Redis, err = b.NewRedis(ctx); err != nil {
		return err
	}
	b.Postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Trust: true, Settings: o.Postgres})
	if err != nil {
		return err
	}
	return b.makeDatabase(ctx, o.Seed)
}

// Close stops everything and removes Dir.
func (b *Bed) Close() error {
	if b.DB != nil {
		b.DB.Close()
	}
	for _, r := range b.redises {
		r.Close()
	}
	var err error
	if b.Postgres != nil {
		err = b.Postgres.Stop()
	}
	return errors.Join(err, os.RemoveAll(b.Dir))
}

// Versions names the servers and their versions.
func (b *Bed) Versions(ctx context.Context) string {
	return fmt.Sprintf("PostgreSQL %s; Redis %s", b.Postgres.Version(), b.Redis.version(ctx))
}

// ServiceURL is DATABASE_URL of a server that reaches PostgreSQL at this address.
func (b *Bed) ServiceURL(addr string) string {
	u := url.URL{Scheme: "postgres", User: url.User(serviceLogin), Host: addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// SuperuserURL is a URL of the same database for the superuser.
func (b *Bed) SuperuserURL() string { return b.PostgresURL(b.Postgres) }

// PostgresURL returns a superuser's URL of the database on another server, for example a standby.
func (b *Bed) PostgresURL(p *embedded.Postgres) string { return p.URL(database) }

// SetPrimary makes DB connect to another server. It does not change where the servers under test connect to.
func (b *Bed) SetPrimary(pg *embedded.Postgres) {
	addr := pg.Addr()
	b.Postgres = pg
	b.primary.Store(&addr)
	b.DB.Reset()
}

// makeDatabase creates roles and tables as a deployment has them, and fills the tables.
func (b *Bed) makeDatabase(ctx context.Context, seed string) error {
	tables, err := embedded.Schemas.ReadFile("schema/plugins.sql")
	if err != nil {
		return err
	}
	roles := strings.NewReplacer("{web}", webLogin, "{role}", migrations.DefaultRole, "{service}", serviceLogin, "{db}", database)
	err = b.exec(ctx, "postgres", roles.Replace("CREATE ROLE {web} LOGIN; CREATE ROLE {role}; CREATE ROLE {role}_staff; CREATE ROLE {service} LOGIN IN ROLE {role}, {role}_staff"),
		roles.Replace("CREATE DATABASE {db} OWNER {web}"))
	if err == nil {
		err = b.exec(ctx, database, roles.Replace("GRANT CREATE ON SCHEMA public TO {web}; SET ROLE {web}; ")+string(tables))
	}
	if err == nil {
		err = b.migrate(ctx)
	}
	if err == nil {
		err = b.exec(ctx, database, seed, "VACUUM ANALYZE")
	}
	if err == nil {
		err = b.openPool(ctx)
	}
	return err
}

func (b *Bed) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, b.Postgres.URL(database))
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

func (b *Bed) migrate(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.SuperuserURL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = migrations.Apply(ctx, conn, migrations.Options{})
	return err
}

func (b *Bed) openPool(ctx context.Context) error {
	cfg, err := pgxpool.ParseConfig(b.SuperuserURL() + "&pool_max_conns=32")
	if err != nil {
		return err
	}
	cfg.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		a, err := netip.ParseAddrPort(*b.primary.Load())
		c.Host, c.Port = a.Addr().String(), a.Port()
		return err
	}
	addr := b.Postgres.Addr()
	b.primary.Store(&addr)
	b.DB, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}
