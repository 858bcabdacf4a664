package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres"
)

// patience is how long a server may be slow to answer when we start. One that refuses is not waited for.
const patience = 3 * time.Second

// backends are the servers behind the services: outside ones, or embedded in our care.
type backends struct {
	postgres *embedded.Postgres // nil: outside
	redis    *embedded.Redis    // nil: outside
	data     string             // where the embedded PostgreSQL keeps its data; empty: nowhere
	demo     demo
}

// startBackends starts what the environment does not name, and puts its address into c. Whatever it returns must be
// stopped, also after an error.
func startBackends(ctx context.Context, c *app.Options, data string) (*backends, error) {
	b := &backends{data: data}
	var err error
	if c.DatabaseURL == "" {
		if b.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: data}); err != nil {
			return b, fmt.Errorf("DATABASE_URL is not set, and PostgreSQL could not be started here: %w", err)
		}
		if c.DatabaseURL, err = prepareDatabase(ctx, b.postgres); err != nil {
			return b, fmt.Errorf("prepare the embedded database: %w", err)
		}
		if b.demo, err = addDemo(ctx, b.postgres); err != nil {
			return b, fmt.Errorf("demo data: %w", err)
		}
	}
	if os.Getenv("REDIS_URL") == "" {
		if b.redis, err = embedded.StartRedis(); err != nil {
			return b, err
		}
		c.RedisURL = b.redis.URL()
	}
	return b, nil
}

// stop ends what was started.
func (b *backends) stop() error {
	if b.redis != nil {
		b.redis.Stop()
	}
	if b.postgres != nil {
		return b.postgres.Stop()
	}
	return nil
}

// postgresDone is closed when the embedded PostgreSQL ends; there is no such channel for an outside one.
func (b *backends) postgresDone() <-chan struct{} {
	if b.postgres == nil {
		return nil
	}
	return b.postgres.Done()
}

// ready returns when both servers have answered p. That they do is asked for at the start only: a wrong address should
// be found then, and not look like an outage for ever.
func (b *backends) ready(ctx context.Context, p *app.Program) error {
	err := patiently(ctx, func() error {
		return p.DB.Read(ctx, func(ctx context.Context, q postgres.Querier) error {
			_, err := q.Exec(ctx, "SELECT 1")
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("DATABASE_URL: PostgreSQL at %s does not answer: %s", p.DB.Address(), describeDatabase(err))
	}
	err = patiently(ctx, func() error { return p.Redis.Ping(ctx).Err() })
	if err != nil {
		return fmt.Errorf("REDIS_URL: Redis at %s does not answer: %s", redisAddress(p.Config.RedisURL), describeRedis(err))
	}
	return b.demo.addCharacters(ctx, p)
}

// patiently tries again for a while where there was no answer in time: a first connection may take longer, over TLS say,
// than a request has time for. Each try ends by a timeout of its own, so this does not spin.
func patiently(ctx context.Context, try func() error) error {
	end := time.Now().Add(patience)
	for {
		err := try()
		slow := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
		if err == nil || !slow || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

// redisAddress leaves user and password out.
func redisAddress(redisURL string) string {
	u, err := url.Parse(redisURL)
	if err != nil {
		return "that URL" // cannot be: it was parsed to make the client
	}
	return u.Host + u.Path
}

// describeDatabase tells what the server says to a client who wants to connect: it names the user and the database, and
// no secret.
func describeDatabase(err error) string {
	if reply, ok := errors.AsType[*pgconn.PgError](err); ok {
		return reply.Message
	}
	return postgres.Describe(err)
}

// describeRedis tells an error reply as it is: it holds no secret, and "WRONGPASS" says it all.
func describeRedis(err error) string {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		return reply.Error()
	}
	return postgres.Describe(err)
}
