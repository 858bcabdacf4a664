// Package app assembles a program from its configuration: database, cache, log, metrics and traces. It connects on
// first use, so a cold start only parses the configuration.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Options of a Program: its configuration, and options that are not in the environment.
type Options struct {
	config.Config
	// Concurrency is the number of concurrent requests of a Lambda function, and so of its connections to each server.
	// 0: the program is not a function.
	Concurrency int
	Memory      cache.Store    // keeps users in the process, if there is a cache; nil: nothing does
	Events      bool           // the requests are Lambda events: only a gateway proves an identity
	Tokens      callers.Tokens // verifies callers' tokens; nil: tokens prove nothing
	LogTo       io.Writer      // nil: stderr
	Telemetry   Telemetry
	Budgets     Budgets
}

// Budgets are the time limits of a request. A zero value means the default. No environment variable sets them.
type Budgets struct {
	Request  time.Duration // default rpcserver.Budget
	Database postgres.Budgets
	Redis    cache.Budgets
}

// Program has everything that the mains pass to the services.
type Program struct {
	Config    config.Config
	Telemetry Telemetry
	DB        *postgres.DB
	Redis     redis.UniversalClient // nil: REDIS_URL is off
	Cache     *cache.Cache
	Log       *slog.Logger
	Callers   *callers.Gate // nil: any caller has all rights
	edge      *rpcserver.Server
}

// Open assembles a Program, which connects on first use. The error names each missing or wrong URL.
func Open(o Options) (*Program, error) {
	log := Logger(o)
	gate, err := callers.New(gateOptions(o, log))
	if err != nil {
		return nil, err
	}
	db, client, err := connect(o, log)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(redisLogger{log})
	traced := o.Telemetry.TraceRedis != nil && client != nil
	if traced {
		o.Telemetry.TraceRedis(client)
	}
	p := &Program{
		Config: o.Config, Telemetry: o.Telemetry, DB: db, Redis: client, Log: log, Callers: gate, edge: newEdge(o, log, gate),
		Cache: cache.New(client, db, cacheOptions(o, log, traced)),
	}
	if client == nil {
		log.Info("there is no cache, because REDIS_URL is off: every read goes to the database")
	}
	if o.Telemetry.Started != nil {
		o.Telemetry.Started(p)
	}
	return p, nil
}

func gateOptions(o Options, log *slog.Logger) callers.Options {
	c := o.Config.Callers
	return callers.Options{
		File: c.File, ClientCAFile: c.ClientCAFile, Tokens: o.Tokens, Plaintext: c.Plaintext, IAM: o.Events && (c.Required || c.File != ""),
		OnReload: func(err error) {
			if err == nil {
				log.Info("the callers were read again")
				return
			}
			log.Warn("the callers' files changed and are not valid: the last valid version stays in force", "cause", err.Error())
		},
	}
}

func cacheOptions(o Options, log *slog.Logger, traced bool) cache.Options {
	if o.RedisURL == config.RedisOff {
		o.Memory = nil
	}
	return cache.Options{
		TTL: o.CacheTTL, Memory: o.Memory, KeyPrefix: o.RedisPrefix, Traced: traced, Budgets: o.Budgets.Redis,
		OnShared: func() {
			log.Warn("another database uses the same redis; that is safe, but they share its memory: give each its own REDIS_URL")
		},
		OnUnusable: func(u *cache.Unusable) {
			if u == nil {
				log.Info("the cache is on again")
				return
			}
			log.Warn("the cache is off: every read goes to the database", "cause", u.Error())
		},
		OnOutage: func(err error) {
			if err == nil {
				log.Info("Redis at REDIS_URL answers again")
				return
			}
			log.Warn("Redis at REDIS_URL does not answer: every read goes to the database until it does", "cause", DescribeRedis(err, o.RedisURL))
		},
	}
}

func databaseOptions(o Options, log *slog.Logger) postgres.Options {
	return postgres.Options{
		MaxConns: o.Concurrency, Observe: o.Telemetry.Statement, Tracer: o.Telemetry.Queries, Budgets: o.Budgets.Database, Schema: o.Schema,
		OnPlaintext: func() {
			log.Warn("the connection to PostgreSQL on another machine is not encrypted: everybody on the way can read players' data and session tokens; add sslmode=verify-full to DATABASE_URL, or let only a private network lie between")
		},
		OnPooler: func() {
			log.Warn("a pooler in transaction mode loses prepared statements, so no statement is prepared from now on; to do so from the start, add default_query_exec_mode=cache_describe to DATABASE_URL")
		},
	}
}

// connect makes the pools of both servers. They connect on first use.
func connect(o Options, log *slog.Logger) (*postgres.DB, redis.UniversalClient, error) {
	dbOptions := databaseOptions(o, log)
	redisOptions := cache.ConnectOptions{Concurrency: o.Concurrency, Observe: o.Telemetry.Redis, Budgets: o.Budgets.Redis}
	addLogins(o.AWS, &dbOptions, &redisOptions)
	var errs []error
	db, err := postgres.Open(o.DatabaseURL, dbOptions)
	switch {
	case o.DatabaseURL == "":
		errs = append(errs, errors.New("DATABASE_URL is required"))
	case err != nil:
		errs = append(errs, fmt.Errorf("DATABASE_URL %w", err))
	}
	var client redis.UniversalClient
	if o.RedisURL != config.RedisOff {
		if client, err = cache.Connect(o.RedisURL, redisOptions); err != nil {
			errs = append(errs, fmt.Errorf("REDIS_URL %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		if db != nil {
			db.Close()
		}
		if client != nil {
			_ = client.Close()
		}
		return nil, nil, err
	}
	return db, client, nil
}

// Edge returns the edge of all of the program's services, with their metrics and traces.
func (p *Program) Edge() *rpcserver.Server { return p.edge }

func newEdge(o Options, log *slog.Logger, gate *callers.Gate) *rpcserver.Server {
	edge, t := rpcserver.New(log), o.Telemetry
	edge.Guard(gate)
	edge.SetBudget(cmp.Or(o.Budgets.Request, rpcserver.Budget))
	edge.Observe(t.Requests)
	edge.Trace(t.Tracer)
	return edge
}

// Close closes the connections.
func (p *Program) Close() {
	p.DB.Close()
	if p.Redis != nil {
		_ = p.Redis.Close() // nothing is buffered, so nothing is lost
	}
}

// redisLogger logs go-redis's own messages. It omits their arguments, which contain addresses.
type redisLogger struct{ log *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, _ ...any) {
	l.log.DebugContext(ctx, "go-redis", "message", format)
}
