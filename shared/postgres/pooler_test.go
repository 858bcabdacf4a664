package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

// oneConn returns a DB with one connection, and the number of calls of OnPooler.
func oneConn(t *testing.T, params string) (db *postgres.DB, told *int) {
	t.Helper()
	told = new(int)
	d := testenv.NewEmptyDatabase(t, "")
	d.OwnerExec(t, `CREATE TABLE written (n int); GRANT ALL ON written TO PUBLIC`)
	db, err := postgres.Open(fmt.Sprintf("postgres://game_service@%s/%s?sslmode=disable&pool_max_conns=1%s", testenv.Postgres(t).Addr(), d.Name, params),
		postgres.Options{Budgets: testenv.Budgets().Database, OnPooler: func() { *told++ }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, told
}

func exec(t *testing.T, db *postgres.DB, sql string, args ...any) {
	t.Helper()
	if err := db.Write(t.Context(), func(ctx context.Context, q postgres.Querier) error {
		_, err := q.Exec(ctx, sql, args...)
		return err
	}); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

func one[T any](t *testing.T, db *postgres.DB, sql string, args ...any) T {
	t.Helper()
	v, err := postgres.QueryOne(t.Context(), db, pgx.RowTo[T], sql, args...)
	if err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	return v
}

const (
	readSQL     = `SELECT @n::int + 1`
	writeSQL    = `INSERT INTO written VALUES ($1)`
	preparedSQL = `SELECT array_agg(name) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared%'`
)

// TestPoolerInTransactionMode does to the connection what such a pooler does: another connection of the server, where
// statements are missing, or are prepared already.
func TestPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"", "&description_cache_capacity=0"} {
		t.Run("a read finds its statement missing"+params, func(t *testing.T) {
			t.Parallel()
			db, told := oneConn(t, params)
			for i := range 3 {
				if got := one[int](t, db, readSQL, postgres.Args{"n": i}); got != i+1 {
					t.Errorf("read %d = %d", i, got)
				}
				exec(t, db, `DEALLOCATE ALL`)
			}
			one[int](t, db, `SELECT 2 + $1::int`, 1)
			if names := one[[]string](t, db, preparedSQL); *told != 1 || len(names) > 0 {
				t.Errorf("told %d times of a pooler, want once; prepared now: %q, want none", *told, names)
			}
		})
	}
	t.Run("a write finds its statement missing", func(t *testing.T) {
		t.Parallel()
		db, told := oneConn(t, "")
		exec(t, db, writeSQL, 1)
		exec(t, db, `DEALLOCATE ALL`)
		exec(t, db, writeSQL, 2)
		if n := one[int](t, db, `SELECT count(*) FROM written`); n != 2 || *told != 1 {
			t.Errorf("two writes made %d rows, told %d times", n, *told)
		}
	})
	t.Run("a statement is prepared already", func(t *testing.T) {
		t.Parallel()
		other, _ := oneConn(t, "")
		exec(t, other, writeSQL, 1)
		name := one[[]string](t, other, preparedSQL)[0]
		db, told := oneConn(t, "")
		exec(t, db, `PREPARE `+name+` AS SELECT 'of another client'`)
		exec(t, db, writeSQL, 1)
		if n := one[int](t, db, `SELECT count(*) FROM written`); n != 1 || *told != 1 {
			t.Errorf("one write made %d rows, told %d times", n, *told)
		}
	})
	t.Run("without a pooler", func(t *testing.T) {
		t.Parallel()
		db, told := oneConn(t, "")
		for i := range 2 {
			one[int](t, db, readSQL, postgres.Args{"n": i})
		}
		if names := one[[]string](t, db, preparedSQL); len(names) == 0 || *told != 0 {
			t.Errorf("prepared: %q, want the read; told %d times of a pooler", names, *told)
		}
	})
}

// TestPoolerUnderConcurrency lets many callers meet the lost statements at once. Each gets its answer.
func TestPoolerUnderConcurrency(t *testing.T) {
	t.Parallel()
	db, told := oneConn(t, "")
	one[int](t, db, readSQL, postgres.Args{"n": 0})
	exec(t, db, `DEALLOCATE ALL`)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() { one[int](t, db, readSQL, postgres.Args{"n": i}) })
	}
	all.Wait()
	if *told != 1 {
		t.Errorf("told %d times of a pooler, want once", *told)
	}
}
