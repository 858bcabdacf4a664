package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
)

// patience is how long the program waits at its start for a server that does not answer. It does not wait for a server
// that refuses the connection.
const patience = 3 * time.Second

// backends are the servers that the services use, each either outside or embedded.
type backends struct {
	postgres *embedded.Postgres // nil: outside
	redis    *embedded.Redis    // nil: outside
	data     string             // folder of the embedded PostgreSQL's data; empty: a temporary one
	demo     demo
}

// startBackends starts the servers that the environment does not name, and puts their addresses into c. The caller must
// stop the result, also after an error.
func startBackends(ctx context.Context, c *app.Options, data string) (*backends, error) {
	b := &backends{data: data}
	var err error
	if c.DatabaseURL == "" {
		if b.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: data}); err != nil {
			return b, fmt.Errorf("DATABASE_URL is not set, and the embedded PostgreSQL does not start: %w", err)
		}
		if c.DatabaseURL, err = prepareDatabase(ctx, b.postgres, c.Schema); err != nil {
			return b, fmt.Errorf("prepare the embedded database: %w", err)
		}
		if b.demo, err = addDemo(ctx, b.postgres); err != nil {
			return b, fmt.Errorf("demo data: %w", err)
		}
	}
	if strings.TrimSpace(os.Getenv("REDIS_URL")+os.Getenv("REDIS_URL_FILE")) == "" {
		if b.redis, err = embedded.StartRedis(); err != nil {
			return b, err
		}
		c.RedisURL = b.redis.URL()
	}
	return b, nil
}

// stop stops the embedded servers.
func (b *backends) stop() error {
	if b.redis != nil {
		b.redis.Stop()
	}
	if b.postgres != nil {
		return b.postgres.Stop()
	}
	return nil
}

// postgresDone returns a channel that is closed when the embedded PostgreSQL ends. It is nil for an outside one.
func (b *backends) postgresDone() <-chan struct{} {
	if b.postgres == nil {
		return nil
	}
	return b.postgres.Done()
}

// ready returns when both servers have answered p. Only the start requires their answers, so that a wrong address is found
// at once and does not look like an outage.
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
	if p.Redis != nil {
		if err := b.redisReady(ctx, p); err != nil {
			return err
		}
	}
	return b.demo.addCharacters(ctx, p)
}

// redisReady refuses a Redis that does not answer, and one that REDIS_URL must not lead to. Any other is served without a
// cache until it can be used.
func (b *backends) redisReady(ctx context.Context, p *app.Program) error {
	err := patiently(ctx, func() error {
		err := p.Redis.Ping(ctx).Err()
		if _, refused := errors.AsType[redis.Error](err); refused {
			return nil // the check says why
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("REDIS_URL: Redis at %s does not answer: %s", redisAddress(p.Config.RedisURL), app.DescribeRedis(err, p.Config.RedisURL))
	}
	if unusable, is := errors.AsType[*cache.Unusable](p.Cache.Check(ctx)); is && unusable.WrongURL {
		return fmt.Errorf("REDIS_URL: Redis at %s cannot be used: %w", redisAddress(p.Config.RedisURL), unusable)
	}
	if b.redis != nil && b.postgres == nil {
		p.Log.Warn("REDIS_URL is not set, so this process has its own embedded Redis. If there are several processes, each sees the others' " +
			"writes up to 1 s late: set REDIS_URL for all of them, or REDIS_URL=off")
	}
	return nil
}

// patiently retries for a while if there was no answer in time: a first connection, for example over TLS, may take longer
// than the time limit of a request. Each try ends with its own timeout, so this does not spin.
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

// redisAddress returns the address without user and password.
func redisAddress(redisURL string) string {
	u, err := url.Parse(redisURL)
	if err != nil {
		return "that URL" // cannot happen: the URL was parsed to make the client
	}
	return u.Host + u.Path
}

// describeDatabase returns the server's message to a client that connects. It names the user and the database, but contains
// no secret. Messages about parameters are replaced: what stands behind an unescaped & in a password is such a parameter.
func describeDatabase(err error) string {
	if reply, ok := errors.AsType[*pgconn.PgError](err); ok && !slices.Contains([]string{"08", "22", "42"}, reply.Code[:min(2, len(reply.Code))]) {
		return reply.Message
	}
	return errtext.ForLog(err)
}
