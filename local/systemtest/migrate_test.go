package systemtest_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// migrator runs migrations on e that replace the whole adapter.
type migrator struct {
	*pgx.Conn
	t        *testing.T
	e        *env
	attempts atomic.Int64  // transactions begun
	made     chan struct{} // closed when the first transaction has made everything, and before it commits
	commit   chan struct{} // nil: commit at once
}

func newMigrator(t *testing.T, e *env) *migrator {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), e.Owner.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &migrator{Conn: conn, t: t, e: e}
}

// Begin implements migrations.Conn.
func (m *migrator) Begin(ctx context.Context) (pgx.Tx, error) {
	m.attempts.Add(1)
	tx, err := m.Conn.Begin(ctx)
	return barrier{tx, m}, err
}

// barrier is a transaction that waits before it commits.
type barrier struct {
	pgx.Tx
	m *migrator
}

func (b barrier) Commit(ctx context.Context) error {
	if b.m.commit != nil {
		close(b.m.made)
		<-b.m.commit
	}
	return b.Tx.Commit(ctx)
}

// apply replaces the adapter, in the background. With view it replaces the view as well.
func (m *migrator) apply(view bool, o migrations.Options) <-chan error {
	m.e.OwnerExec(m.t, `UPDATE game.adapter SET sql_hash = ''`)
	if view {
		m.e.OwnerExec(m.t, `COMMENT ON VIEW game.users IS NULL`)
	}
	done := make(chan error, 1)
	go func() {
		_, err := migrations.Apply(context.Background(), m, o)
		done <- err
	}()
	return done
}

// TestMigrateBesideCalls makes every call while a migration has replaced everything and not yet committed, and again
// after its commit: on connections that have used the old adapter, and on new ones.
func TestMigrateBesideCalls(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	used := newPGPlayer(t, e)
	wantEach(t, "before the migration", used.live(), none)
	other := newPGPlayer(t, e)
	m := newMigrator(t, e)
	m.made, m.commit = make(chan struct{}), make(chan struct{})
	done := m.apply(false, migrations.Options{})
	<-m.made
	other.env = &env{e.Env, serve(t, e.Open(t))}
	wantEach(t, "during the migration", used.all(), none)
	wantEach(t, "during the migration, on new connections", other.live(), none)
	close(m.commit)
	if err := <-done; err != nil {
		t.Fatalf("Apply: %v", err)
	}
	wantEach(t, "after the migration", used.live(), none)
	wantEach(t, "after the migration, on new connections", other.all(), none)
}

// TestMigrateReplacesTheView makes calls that wait for the new view. After the commit they find it.
func TestMigrateReplacesTheView(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]migrations.Options{"the same columns": {}, "without triggers": {NoUserTrigger: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, redisKind())
			p := newPGPlayer(t, e)
			wantEach(t, "before the migration", p.live(), none)
			m := newMigrator(t, e)
			m.made, m.commit = make(chan struct{}), make(chan struct{})
			done := m.apply(true, o)
			<-m.made
			calls := make(chan struct{})
			go func() {
				defer close(calls)
				wantEach(t, "during the migration", map[string]rpcCall{"GetUserBySession": p.live()["GetUserBySession"], "RefreshSession": p.writes()["RefreshSession"]}, none)
			}()
			eventually(t, "two calls to wait for the view", func() bool { return waiting(t, e, "game_service") == 2 })
			close(m.commit)
			if err := <-done; err != nil {
				t.Errorf("Apply: %v", err)
			}
			<-calls
		})
	}
}

// TestMigrateBesideALongTransaction holds a lock that the migration needs, as a dump does. The migration tries again and
// again, and calls never wait for the holder.
func TestMigrateBesideALongTransaction(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"it reads the view":   `SELECT FROM game.users`,
		"it has changed user": `UPDATE "user" SET name = name`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, redisKind())
			p := newPGPlayer(t, e)
			long := hold(t, e, sql)
			m := newMigrator(t, e)
			done := m.apply(true, migrations.Options{})
			for m.attempts.Load() < 3 {
				select {
				case err := <-done:
					t.Fatalf("Apply gave up: %v", err)
				default:
				}
				wantEach(t, "beside the long transaction", p.live(), none)
			}
			long.release()
			if err := <-done; err != nil {
				t.Errorf("Apply after the long transaction: %v", err)
			}
		})
	}
}

// TestMigrateKeepsFunctions compares the objects' identities. A call can fail if what it has looked up is dropped before it
// runs, and no schedule from outside hits that moment.
func TestMigrateKeepsFunctions(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	objects := func() (list string) {
		t.Helper()
		if err := e.Owner.QueryRow(t.Context(), `SELECT string_agg(name, ' ' ORDER BY name) FROM (
			SELECT oid || '=' || oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'game'::regnamespace
			UNION ALL SELECT 'game.users'::regclass::oid || '=game.users') AS o`).Scan(&list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := objects()
	if err := <-newMigrator(t, e).apply(true, migrations.Options{}); err != nil {
		t.Fatal(err)
	}
	if after := objects(); after != before {
		t.Errorf("the objects after a migration:\n%s\nwant those before it:\n%s", after, before)
	}
}

// TestMigrateUnderLoad migrates repeatedly beside calls, with and without triggers. No call may fail, not even once.
func TestMigrateUnderLoad(t *testing.T) {
	t.Parallel()
	e := start(t, testenv.RedisKinds()[0])
	p := newPGPlayer(t, e)
	calls := p.cached()
	for name, call := range p.live() {
		calls[name] = call
	}
	calls["RefreshSession"] = p.writes()["RefreshSession"]
	stop := make(chan struct{})
	ended := make(chan struct{})
	var made atomic.Int64
	for name, call := range calls {
		go func() {
			defer func() { ended <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := call(context.Background()); err != nil {
					t.Errorf("%s beside migrations: %v", name, err)
					return
				}
				made.Add(1)
			}
		}()
	}
	m := newMigrator(t, e)
	for i := range 12 {
		if err := <-m.apply(i%3 == 0, migrations.Options{NoUserTrigger: i%2 == 1}); err != nil {
			t.Errorf("Apply: %v", err)
		}
	}
	close(stop)
	for range calls {
		<-ended
	}
	t.Logf("%d calls", made.Load())
}
