package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/osirose-new/database-service/shared/postgres"
)

var (
	// ErrSchema is in every error of a [Checker] that a run of the migration fixes.
	ErrSchema = errors.New("run database-service migrate")
	// ErrRights is in every error of a [Checker] about a right that is missing. Its text says which one, and how to grant it.
	ErrRights = errors.New("a right is missing")
)

// Status is the result of [Check] for a database that fits.
type Status struct {
	Version     int  // of the schema
	UserTrigger bool // changes of users are logged; otherwise users are cached for at most 10 s
	// Warning says what an operator should do, although calls work. It is empty if there is nothing to do.
	Warning string
}

// Checker checks whether a database fits this program. It remembers what it has proven. It is for one goroutine at a
// time. The zero value checks the default schema.
type Checker struct {
	Schema postgres.Schema // of the service
	// SessionWindow and SessionCap are those of the service's configuration; zero means its default. If the database allows
	// less, that is a warning.
	SessionWindow, SessionCap time.Duration

	proven string // fingerprint of changed tables that still work
}

// Check is [Checker.Check] for one time.
func Check(ctx context.Context, q Querier) (Status, error) { return new(Checker).Check(ctx, q) }

// Check returns an error if calls would fail: the database lacks a migration of this program or a right of the service,
// the view or a function fails when it is used, or row-level security hides rows. It uses them as the service does, with an
// id that no row has. If better-auth's tables have changed since the migration and everything works, that is a warning.
func (c *Checker) Check(ctx context.Context, q Querier) (Status, error) {
	if err := checkRights(ctx, q, c.Schema); err != nil {
		return Status{}, err
	}
	at, err := currentState(ctx, q, c.Schema)
	if err != nil {
		return Status{}, err
	}
	if err := at.complete(); err != nil {
		return Status{}, err
	}
	s := Status{Version: at.version, UserTrigger: at.logged}
	auth, changed, err := at.changed(ctx, q)
	if err != nil {
		return Status{}, err
	}
	if err = use(ctx, q, auth); err == nil {
		err = auth.proveVisible(ctx, q)
	}
	if key := auth.fingerprint(); err == nil && changed != nil && c.proven != key {
		if err = useExisting(ctx, q, c.Schema); err == nil {
			c.proven = key
		}
	}
	switch {
	case slow(err):
		s.Warning = "calls may wait: better-auth's tables do not answer in time (a lock on them?)"
	case err != nil && changed != nil:
		return Status{}, fmt.Errorf("%w, and calls fail: %w", changed, err)
	case err != nil:
		return Status{}, err
	case changed != nil:
		s.Warning = fmt.Sprintf("%v; calls still work, so the service stays ready: %v", changed, again(c.Schema))
	default:
		s.Warning = at.lowered(c.SessionWindow, c.SessionCap)
	}
	return s, nil
}

// complete returns an error if the database lacks a migration.
func (at state) complete() error {
	numbered, err := numberedFiles()
	if err != nil {
		return err
	}
	switch {
	case at.version == 0:
		return fmt.Errorf("schema %s is missing: %w", at.own, again(at.own))
	case at.version < len(numbered):
		return fmt.Errorf("schema %s is at version %d, this program needs %d: %w", at.own, at.version, len(numbered), again(at.own))
	case at.adapter < adapterVersion:
		return fmt.Errorf("the adapter to better-auth's tables is missing or old: %w", again(at.own))
	case !at.view:
		return fmt.Errorf("the view %s.users is missing: %w", at.own, again(at.own))
	case at.logged && at.triggers != 2:
		return fmt.Errorf("the triggers on better-auth's user table are gone: %w", again(at.own))
	}
	return nil
}

// newer is a note if a newer program has migrated the database: its processes need what this program would replace.
func (at state) newer() string {
	numbered, _ := numberedFiles() // embedded
	if at.version <= len(numbered) && at.adapter <= adapterVersion {
		return ""
	}
	return fmt.Sprintf("note: a newer program has migrated the schema %s, to version %d.%d, and this one knows %d.%d; so it changes nothing. "+
		"Programs of this version run on it", at.own, at.version, at.adapter, len(numbered), adapterVersion)
}

// again is the advice to run the migration of a schema. It is [ErrSchema].
func again(own postgres.Schema) error {
	if own.IsDefault() {
		return ErrSchema
	}
	return missing(ErrSchema.Error() + " -schema " + own.String())
}

// changed returns better-auth's tables, and an error that says how they differ from those of the migration.
func (at state) changed(ctx context.Context, q Querier) (auth authTables, changed, err error) {
	auth, err = findAuth(ctx, q, at.own, at.schema, Names{}.or(at.names))
	if errors.Is(err, ErrSchema) {
		return auth, err, nil
	}
	if err == nil && auth.fingerprint() != at.print {
		changed = missing("better-auth's tables have changed")
	}
	return auth, changed, err
}
