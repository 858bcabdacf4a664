// Package migrations creates and changes the service's part of the database: the schema "game" or one of another name, by numbered
// forward-only migrations, and the adapter, which is created again if better-auth's tables have changed. It never
// changes those tables, except that it adds two triggers to the user table. A run is one transaction under an advisory
// lock, so concurrent runs are safe: the second one finds nothing to do.
package migrations

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
)

//go:embed *.sql
var files embed.FS

const (
	// adapterVersion increases with every change of adapter.sql that the program needs.
	adapterVersion = 6
	hashMark       = "{{hash}}"
	// A role or a database may have other settings. In another isolation level a run that waited for the lock would not see what
	// the one before it has made.
	settingsSQL = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\nSET LOCAL statement_timeout = 0;\n" +
		"SET LOCAL idle_in_transaction_session_timeout = 0;\nSET LOCAL standard_conforming_strings = on;\n"
	lockSQL = "SELECT pg_advisory_xact_lock(7305419223680118015)"
	// While the migration waits for a lock, statements of the service and of the web application queue behind it. So it
	// waits for less than the time that a statement of the service has, and then starts again, for about 10 s.
	lockTimeoutSQL = "SET LOCAL lock_timeout = '200ms';\n"
	lockAttempts   = 30
	lockPause      = 150 * time.Millisecond
	// DefaultRole is the group role with the service's rights. The service's login is a member of it.
	DefaultRole = "database_service"
)

// Options of a run.
type Options struct {
	Schema        postgres.Schema // the service's own; created if it is missing. Default: postgres.DefaultSchema
	Role          string          // group role that gets the rights; created if it is missing. Default: that of the last run, or DefaultRole
	AuthSchema    string          // schema of better-auth's tables. Default: that of the last run, or the only one that has them
	AuthTimezone  string          // zone of the times in columns without a zone; required if there are such columns
	Names                         // default: those of the last run
	Settings                      // the same, one by one
	NoUserTrigger bool            // add no triggers to the user table: users are then cached for at most 10 s
}

// Conn is the part of *pgx.Conn that a run needs.
type Conn interface {
	Querier
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Apply migrates the database and returns one line for each step; none if there was nothing to do. The connection's
// role must own better-auth's tables, or have SELECT and TRIGGER on the user table and SELECT and UPDATE on the session
// table. At the end Apply uses the adapter as the service does. If that fails, nothing has changed.
func Apply(ctx context.Context, conn Conn, o Options) (done []string, err error) {
	for range lockAttempts {
		done, err = apply(ctx, conn, o)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "55P03" { // lock not available
			return done, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
	return nil, fmt.Errorf("a long transaction uses a table that must change; wait for its end, or end it, and run this again: %w", err)
}

func apply(ctx context.Context, conn Conn, o Options) ([]string, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	for _, sql := range []string{settingsSQL, lockSQL} { // one by one: an earlier statement_timeout holds for all that are sent at once
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	data, steps, note, err := plan(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, s := range steps {
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return nil, fmt.Errorf("%s: %w%s", s.name, err, readOnly(err))
		}
		done = append(done, s.name)
	}
	if err := data.prove(ctx, tx); err != nil {
		return nil, err
	}
	if note != "" {
		done = append(done, note)
	}
	return done, tx.Commit(ctx)
}

// readOnly is the advice if the server refuses every change, or "".
func readOnly(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "25006" {
		return ""
	}
	return ": DATABASE_URL must lead to the primary, and its default_transaction_read_only must be off"
}

// SQL returns the text that Apply would run, so that the owner of the database can read it and run it with psql. It is
// empty if there is nothing to do.
func SQL(ctx context.Context, q Querier, o Options) (string, error) {
	_, steps, _, err := plan(ctx, q, o)
	if err != nil || len(steps) == 0 {
		return "", err
	}
	var b strings.Builder
	b.WriteString("BEGIN;\n" + settingsSQL + lockSQL + ";\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "\n-- Step: %s\n\n%s", s.name, s.sql)
	}
	b.WriteString("\nCOMMIT;\n")
	return b.String(), nil
}

type step struct {
	name, sql string
}

// plan returns what the database is like, the missing steps, and what the operator should know.
func plan(ctx context.Context, q Querier, o Options) (data adapter, steps []step, note string, err error) {
	if err := o.Schema.Check(); err != nil {
		return adapter{}, nil, "", fmt.Errorf("%q %w", o.Schema, err)
	}
	at, err := currentState(ctx, q, o.Schema)
	if err != nil {
		return adapter{}, nil, "", err
	}
	if err := at.checkSchema(ctx, q); err != nil {
		return adapter{}, nil, "", err
	}
	chosen := o.Settings
	o.Role = cmp.Or(o.Role, at.role, DefaultRole)
	o.AuthSchema = cmp.Or(o.AuthSchema, at.schema)
	o.Names = o.Names.or(at.names)
	o.Settings = o.Settings.or(at.Settings)
	if data, err = inspect(ctx, q, o); err != nil {
		return adapter{}, nil, "", err
	}
	if note, err = data.compare(ctx, q, chosen); err != nil {
		return adapter{}, nil, "", err
	}
	lacks, err := lacking(ctx, q, o.Schema, o.Role)
	if err != nil {
		return adapter{}, nil, "", err
	}
	trusted, err := data.trusted(ctx, q)
	if err != nil {
		return adapter{}, nil, "", err
	}
	steps, err = missingSteps(at, data, trusted && len(ours(lacks)) == 0)
	if newer := at.newer(); newer != "" {
		return data, nil, newer, nil
	}
	if len(steps) > 0 {
		note = lines(note, data.note(o.Schema.String(), o.Role))
		err = errors.Join(err, data.owns(at.owner))
	}
	return data, steps, note, err
}

// missingSteps are the steps from at to data. granted: the roles have their rights.
func missingSteps(at state, data adapter, granted bool) ([]step, error) {
	missing, err := numberedSteps(at.version, data)
	if err != nil {
		return nil, err
	}
	steps := append([]step{data.roleStep()}, missing...)
	text, err := render("adapter.sql", data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:16])
	intact := at.hash == hash && at.view && (!data.UserTrigger || at.triggers == 2) && granted
	if !intact {
		steps = append(steps, step{data.stepName(), strings.Replace(text, hashMark, hash, 1)})
	}
	if len(steps) == 1 {
		return nil, nil
	}
	return steps, nil
}

func (a adapter) stepName() string {
	name := "adapter to " + a.User.Table() + " and " + a.Session.Table()
	if a.User.view {
		name += " (the first is a view, which can have no triggers: users are cached for at most 10 s)"
	}
	return name
}

// numberedSteps are the numbered files after version.
func numberedSteps(version int, data adapter) (steps []step, err error) {
	files, err := numberedFiles()
	if err != nil {
		return nil, err
	}
	for i, name := range files {
		if i < version {
			continue
		}
		text, err := render(name, data)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{name, text + data.own.In(fmt.Sprintf("INSERT INTO game.migration (version) VALUES (%d);\n", i+1))})
	}
	return steps, nil
}

// inspect finds better-auth's tables. It returns an error if the database does not tell what it needs.
func inspect(ctx context.Context, q Querier, o Options) (adapter, error) {
	if err := o.Names.check(); err != nil {
		return adapter{}, err
	}
	auth, err := findAuth(ctx, q, o.Schema, o.AuthSchema, o.Names)
	if err != nil {
		return adapter{}, err
	}
	if c := auth.zoneless(); c != "" && o.AuthTimezone == "" {
		return adapter{}, errors.New(c + " has no time zone: set AUTH_TIMEZONE to the zone that the web application writes in " +
			"(UTC for Drizzle and Prisma; the web server's own zone for tables made by better-auth 1.3.10 and older)")
	}
	if err := errors.Join(checkTimezone(ctx, q, o.AuthTimezone), checkEncoding(ctx, q)); err != nil {
		return adapter{}, err
	}
	auth.User.zone, auth.Session.zone = o.AuthTimezone, o.AuthTimezone
	data := adapter{authTables: auth, RoleName: o.Role, Role: pgx.Identifier{o.Role}.Sanitize(), UserTrigger: !o.NoUserTrigger && !auth.User.view, Names: o.Names, AdapterVersion: adapterVersion, Fingerprint: auth.fingerprint(), AuthSchema: o.AuthSchema}
	if auth.User.schema == auth.Session.schema {
		data.AuthSchema = auth.User.schema // later runs ignore tables of the same name in other schemas
	}
	if data.UserTrigger && auth.User.heir != "" {
		return adapter{}, fmt.Errorf("%s inherits from %s, and changes of its rows fire no trigger there; pass -no-user-trigger, which lets users be 10 s stale",
			auth.User.heir, auth.User.Table())
	}
	data.Settings = o.Settings
	if err := errors.Join(data.checkNames(), data.checkTypes(), data.check()); err != nil {
		return adapter{}, err
	}
	if err := data.checkIDType(ctx, q); err != nil {
		return adapter{}, err
	}
	data.roles, err = data.inspectRoles(ctx, q)
	return data, err
}

func numberedFiles() ([]string, error) {
	return fs.Glob(files, "[0-9]*.sql")
}

func render(name string, data adapter) (string, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return "", err
	}
	// The schema's name comes first: what the template adds is data, for example a table of the web application.
	t, err := template.New(name).Parse(data.own.In(string(text)))
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return b.String(), nil
}
