package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/errtext"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func query(ctx context.Context, db *postgres.DB, sql string) error {
	return db.Read(ctx, func(ctx context.Context, q postgres.Querier) error {
		rows, err := q.Query(ctx, sql)
		if err != nil {
			return err
		}
		_, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	db := testenv.New(t, "plugins", "miniredis").Program.DB
	classes := map[string]error{
		"40001": postgres.ErrRetry, "40P01": postgres.ErrRetry, "55P03": postgres.ErrRetry,
		"25006": postgres.ErrUnavailable, "57P01": postgres.ErrUnavailable, "57P03": postgres.ErrUnavailable,
		"57014": postgres.ErrUnavailable, "53300": postgres.ErrUnavailable, "53100": postgres.ErrUnavailable,
		"08006": postgres.ErrUnavailable, "28P01": postgres.ErrUnavailable,
		"42501": postgres.ErrMisconfigured, "42P01": postgres.ErrMisconfigured, "42703": postgres.ErrMisconfigured, "26000": postgres.ErrMisconfigured,
		"3D000": postgres.ErrMisconfigured, "3F000": postgres.ErrMisconfigured, "42704": postgres.ErrMisconfigured, "42809": postgres.ErrMisconfigured,
		"23505": nil, "42601": nil, "22P02": nil, "XX000": nil,
	}
	for state, class := range classes {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			err := query(t.Context(), db, fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION 's3cret value' USING ERRCODE = '%s'; END $$`, state))
			if err == nil {
				t.Fatal("no error")
			}
			for _, c := range []error{postgres.ErrRetry, postgres.ErrUnavailable, postgres.ErrMisconfigured} {
				if errors.Is(err, c) != (class == c) {
					t.Errorf("%v: is %v: %v, want %v", err, c, errors.Is(err, c), class == c)
				}
			}
			if said := errtext.ForLog(err); !strings.Contains(said, state) || strings.Contains(said, "s3cret") {
				t.Errorf("ForLog = %q, want the state and no value", said)
			}
		})
	}
}

// TestDeadConnection checks that a read on a dead connection is retried on another one, and that a write is not.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	db := e.Program.DB
	once := func() { // breaks the connection when the next statement is sent
		e.PGProxy.OnSend(func(b []byte) {
			if bytes.Contains(b, []byte("pg_sleep")) {
				e.PGProxy.OnSend(nil)
				e.PGProxy.Reset()
			}
		})
	}
	once()
	if err := query(t.Context(), db, `SELECT pg_sleep(0)::text`); err != nil {
		t.Errorf("Read on a connection that breaks: %v, want the retry's answer", err)
	}
	once()
	runs := 0
	err := db.Write(t.Context(), func(ctx context.Context, q postgres.Querier) error {
		runs++
		_, err := q.Exec(ctx, `SELECT pg_sleep(0)`)
		return err
	})
	if !errors.Is(err, postgres.ErrUnavailable) || runs != 1 {
		t.Errorf("Write on a connection that breaks: %v after %d runs, want ErrUnavailable after one", err, runs)
	}
	if err := query(t.Context(), db, `SELECT 'healed'`); err != nil {
		t.Errorf("the next statement: %v", err)
	}
}

// TestReplaced checks that a read is repeated if a migration has replaced what its plan uses.
func TestReplaced(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	db := e.Program.DB
	e.OwnerExec(t, `CREATE TABLE game.of_test AS SELECT 'before' AS value; GRANT SELECT ON game.of_test TO `+migrations.DefaultRole)
	const statement = `SELECT * FROM game.of_test`
	if err := query(t.Context(), db, statement); err != nil {
		t.Fatal(err)
	}
	e.OwnerExec(t, `ALTER TABLE game.of_test ALTER value TYPE varchar`)
	if err := query(t.Context(), db, statement); err != nil { // "cached plan must not change result type"
		t.Errorf("Read after a change of the result's type: %v, want the retry's answer", err)
	}
}

func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	db := testenv.New(t, "plugins", "miniredis").Program.DB
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := query(ctx, db, `SELECT 'x'`); !errors.Is(err, context.Canceled) || errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("Read with a canceled context = %v, want only context.Canceled", err)
	}
}

func TestOpenHidesTheURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:s3cret@h:port/d", "postgres://u:s3cret@h/d?sslmode=s3cret", "s3cret"} {
		if _, err := postgres.Open(url, postgres.Options{}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q) = %v, want an error without the secret", url, err)
		}
	}
}
