// Package migrations makes and changes what is ours in the database: forward-only, numbered migrations of the schema
// "game", and the adapter, which is made again whenever better-auth's tables change. It never alters those tables
// beyond two triggers on the user table. All of a run is one transaction under an advisory lock: two at once are safe,
// and a second one finds nothing to do.
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

	"github.com/jackc/pgx/v5"
)

//go:embed *.sql
var files embed.FS

const (
	// adapterVersion goes up with every change of adapter.sql that the program needs.
	adapterVersion = 2
	hashMark       = "{{hash}}"
	lockSQL        = "SELECT pg_advisory_xact_lock(7305419223680118015)"
	// DefaultRole is the group role that holds the service's rights; its login is a member of it.
	DefaultRole = "database_service"
)

// Options of a run.
type Options struct {
	Role          string // group role that gets the rights; it is created where it is missing. Default: as before, else DefaultRole
	AuthSchema    string // where better-auth's tables are. Default: as before, else wherever they are, if that is clear
	AuthTimezone  string // zone of the times in columns without zone; required where there are such columns
	NoUserTrigger bool   // the owner of better-auth's tables refuses the triggers: users are then cached for 10 s
}

// Conn is what a run needs of a connection: *pgx.Conn.
type Conn interface {
	Querier
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Apply brings the database up to date and returns what it did, one line a step; none where there was nothing to do.
// The connection's role must own better-auth's tables, or have the right to create triggers on the user table and to
// read both tables.
func Apply(ctx context.Context, conn Conn, o Options) ([]string, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, lockSQL); err != nil {
		return nil, err
	}
	steps, err := plan(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, s := range steps {
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		done = append(done, s.name)
	}
	return done, tx.Commit(ctx)
}

// SQL returns the text that Apply would run, for whoever owns the database to read and run with psql; empty where
// there is nothing to do.
func SQL(ctx context.Context, q Querier, o Options) (string, error) {
	steps, err := plan(ctx, q, o)
	if err != nil || len(steps) == 0 {
		return "", err
	}
	var b strings.Builder
	b.WriteString("BEGIN;\n" + lockSQL + ";\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "\n-- Step: %s\n\n%s", s.name, s.sql)
	}
	b.WriteString("\nCOMMIT;\n")
	return b.String(), nil
}

type step struct {
	name, sql string
}

// plan lists the steps that are missing.
func plan(ctx context.Context, q Querier, o Options) ([]step, error) {
	at, err := currentState(ctx, q)
	if err != nil {
		return nil, err
	}
	o.Role = cmp.Or(o.Role, at.role, DefaultRole)
	o.AuthSchema = cmp.Or(o.AuthSchema, at.schema)
	data, err := inspect(ctx, q, o)
	if err != nil {
		return nil, err
	}
	missing, err := numberedSteps(at.version, data)
	if err != nil {
		return nil, err
	}
	// A migration that finds better-auth's table in use gives up after 5 s and does not make the web application queue
	// behind it.
	steps := append([]step{{"role " + data.Role, "SET LOCAL lock_timeout = '5s';\n" + roleSQL(data.Role)}}, missing...)
	text, err := render("adapter.sql", data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:16])
	intact := at.hash == hash && at.view && (!data.UserTrigger || at.triggers == 2)
	if !intact {
		steps = append(steps, step{"adapter to " + data.User.Table() + " and " + data.Session.Table(), strings.Replace(text, hashMark, hash, 1)})
	}
	if len(steps) == 1 {
		return nil, nil
	}
	return steps, nil
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
		steps = append(steps, step{name, text + fmt.Sprintf("INSERT INTO game.migration (version) VALUES (%d);\n", i+1)})
	}
	return steps, nil
}

// inspect finds better-auth's tables and refuses to guess what it cannot see.
func inspect(ctx context.Context, q Querier, o Options) (adapter, error) {
	auth, err := findAuth(ctx, q, o.AuthSchema)
	if err != nil {
		return adapter{}, err
	}
	if c := auth.zoneless(); c != "" && o.AuthTimezone == "" {
		return adapter{}, errors.New(c + " has no time zone: set AUTH_TIMEZONE to the zone that the web application writes in " +
			"(UTC for Drizzle and Prisma; the web server's own zone for tables made by better-auth 1.3.10 and older)")
	}
	auth.User.zone, auth.Session.zone = o.AuthTimezone, o.AuthTimezone
	data := adapter{authTables: auth, RoleName: o.Role, Role: pgx.Identifier{o.Role}.Sanitize(), UserTrigger: !o.NoUserTrigger, AdapterVersion: adapterVersion, Fingerprint: auth.fingerprint(), AuthSchema: o.AuthSchema}
	if auth.User.schema == auth.Session.schema {
		data.AuthSchema = auth.User.schema // one that appears later elsewhere is somebody else's
	}
	switch typ := data.UserIDType(); typ {
	case "text", "uuid", "integer", "bigint", "character varying":
	default:
		return adapter{}, fmt.Errorf("%s.id is of type %s; text, varchar, uuid, integer and bigint are known", auth.User.Table(), typ)
	}
	return data, nil
}

// roleSQL creates the group role. Roles belong to the whole server, so another database's run may do it at this moment.
func roleSQL(role string) string {
	return "DO $$ BEGIN\n\tIF to_regrole(" + literal(role) + ") IS NULL THEN CREATE ROLE " + role + " NOLOGIN; END IF;\n" +
		"EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;\nEND $$;\n"
}

func numberedFiles() ([]string, error) {
	return fs.Glob(files, "[0-9]*.sql")
}

func render(name string, data adapter) (string, error) {
	t, err := template.ParseFS(files, name)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return b.String(), nil
}
