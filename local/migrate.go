package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const migrateUsage = `Brings the database at DATABASE_URL up to date: the schema "game" and the adapter to better-auth's tables.

  database-service migrate [flags]

DATABASE_URL must name a role that owns better-auth's tables, or has SELECT and TRIGGER on the user table and SELECT and
UPDATE on the session table. The service's own role does not suffice. At the end it reads a user and a session as the
service does; if that fails, it says why and changes nothing. It is safe to run this again, or twice at the same time.
Run it before a new version starts, and after better-auth's own migration if /readyz says so.

  -schema NAME      the service's own schema (default: DATABASE_SCHEMA, or game); the service needs the same
                    DATABASE_SCHEMA. Several schemas may be in one database, each with its own characters
  -print            write the missing SQL to stdout, for psql, and run nothing
  -role NAME        group role that gets the rights (default: that of the last run, or ` + migrations.DefaultRole + `);
                    the service's login must be a member: GRANT ` + migrations.DefaultRole + ` TO the_login.
                    NAME_purge gets those of the purge, and NAME_owner owns the functions
  -auth-schema NAME schema of better-auth's tables; needed only if several schemas have them
  -user-table NAME  better-auth's user table or a view of it, if it is not "user" or "users". A view can have no
                    triggers: see -no-user-trigger
  -session-table NAME
                    the session table, if it is not "session" or "sessions"
  -column user.FIELD=NAME, -column session.FIELD=NAME
                    a column with another name than better-auth's, for example user.name=full_name; repeatable.
                    Later runs remember these three
  -username-normalization lower|upper|none
                    how better-auth's username plugin stores usernames (its usernameNormalization): in lower case
                    (default), in upper case, or as typed. Later runs remember it
  -session-token plain|sha256
                    how the web application stores session tokens: as they are (default), or sha256(token) in hex.
                    With sha256 no token is sent to PostgreSQL. Later runs remember it
  -session-window DURATION, -session-cap DURATION
                    how far the service may move a session's expiry: after now (default 1h), and after the session's
                    creation (default 720h). The service's SESSION_WINDOW and SESSION_CAP can only lower them
  -session-min-gain DURATION
                    the smallest extension that is written (default 5m). Durations are 300 (seconds) or 5m; later
                    runs remember these three
  -no-user-trigger  create no triggers on better-auth's user table: users are then cached for 10 s

Environment: DATABASE_URL; DATABASE_SCHEMA; AUTH_TIMEZONE, the zone of better-auth's times if its columns have none (UTC for Drizzle
and Prisma): a name such as UTC or Europe/Berlin.
`

// runMigrate migrates, or prints to w the SQL that it would run.
func runMigrate(ctx context.Context, args []string, w io.Writer) error {
	o := migrations.Options{AuthTimezone: os.Getenv("AUTH_TIMEZONE")}
	f := flag.NewFlagSet("migrate", flag.ContinueOnError)
	own := schemaFlag(f)
	f.StringVar(&o.Role, "role", "", "")
	f.StringVar(&o.AuthSchema, "auth-schema", "", "")
	f.BoolVar(&o.NoUserTrigger, "no-user-trigger", false, "")
	f.StringVar(&o.UserTable, "user-table", "", "")
	f.StringVar(&o.SessionTable, "session-table", "", "")
	f.StringVar(&o.UsernameNormalization, "username-normalization", "", "")
	f.StringVar(&o.SessionToken, "session-token", "", "")
	limitFlags(f, &o.Settings)
	f.Func("column", "", func(s string) error { return addColumn(&o.Names, s) })
	onlyPrint := f.Bool("print", false, "")
	if err := parse(f, args, migrateUsage); err != nil {
		return err
	}
	var err error
	if o.Schema, err = own(); err != nil {
		return err
	}
	pool, err := openOwner(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if *onlyPrint {
		return printSQL(ctx, pool, o, w)
	}
	steps, err := migrations.Apply(ctx, pool, o)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(steps) == 0 {
		steps = []string{"nothing to do"}
	}
	for _, s := range steps {
		fmt.Fprintln(w, s)
	}
	return nil
}

// schemaFlag adds -schema to f. After parsing, the result returns its value or that of DATABASE_SCHEMA.
func schemaFlag(f *flag.FlagSet) func() (postgres.Schema, error) {
	var s postgres.Schema
	f.Func("schema", "", func(value string) error {
		s = postgres.Schema(value)
		return s.Check()
	})
	return func() (postgres.Schema, error) {
		if s != "" {
			return s, nil
		}
		s = postgres.Schema(strings.TrimSpace(os.Getenv("DATABASE_SCHEMA")))
		if err := s.Check(); err != nil {
			return "", fmt.Errorf("DATABASE_SCHEMA %w", err)
		}
		return s, nil
	}
}

func limitFlags(f *flag.FlagSet, s *migrations.Settings) {
	duration(f, "session-window", &s.SessionWindow)
	duration(f, "session-cap", &s.SessionCap)
	duration(f, "session-min-gain", &s.SessionMinGain)
}

// duration adds a flag that is written as the service's durations are: 300 (seconds), or 5m.
func duration(f *flag.FlagSet, name string, d *time.Duration) {
	f.Func(name, "", func(s string) (err error) {
		if _, err := strconv.Atoi(s); err == nil {
			s += "s"
		}
		if *d, err = time.ParseDuration(s); err != nil || *d <= 0 {
			return errors.New("write a duration, for example 300 (seconds) or 5m")
		}
		return nil
	})
}

// addColumn adds a value of -column to n.
func addColumn(n *migrations.Names, value string) error {
	field, name, ok := strings.Cut(value, "=")
	if !ok || field == "" || name == "" {
		return errors.New("write user.FIELD=NAME or session.FIELD=NAME")
	}
	if n.Columns == nil {
		n.Columns = map[string]string{}
	}
	n.Columns[field] = name
	return nil
}

func printSQL(ctx context.Context, pool *pgxpool.Pool, o migrations.Options, w io.Writer) error {
	sql, err := migrations.SQL(ctx, pool, o)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if sql == "" {
		fmt.Fprintln(os.Stderr, "nothing to do")
	}
	_, err = io.WriteString(w, sql)
	return err
}

// openOwner connects to DATABASE_URL as the owner of the tables. The pool accepts the same URLs as the service, including pool_max_conns.
// It returns pgx's errors unchanged, because they never contain the password.
func openOwner(ctx context.Context) (*pgxpool.Pool, error) {
	databaseURL, err := config.Secret(os.Getenv, "DATABASE_URL")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(databaseURL) == "" {
		return nil, errors.New("DATABASE_URL is required: see database-service migrate -h")
	}
	cfg, err := postgres.ParseURL(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL %w", err)
	}
	// Behind a pooler in transaction mode another run may have prepared statements of the same names on the connection.
	if mode := &cfg.ConnConfig.DefaultQueryExecMode; *mode == pgx.QueryExecModeCacheStatement {
		*mode = pgx.QueryExecModeCacheDescribe
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return pool, nil
}
