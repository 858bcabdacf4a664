package systemtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

var retry = fault{twirp.Aborted, "RETRY"}

// holder is a transaction of the test that holds locks.
type holder struct {
	pgx.Tx
	t *testing.T
}

func hold(t *testing.T, e *env, sql string, args ...any) holder {
	t.Helper()
	tx, err := e.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := holder{tx, t}
	// It checks for a deadlock later than the service does, so that PostgreSQL aborts the service's transaction.
	h.exec(`SET LOCAL deadlock_timeout = '1min'`)
	h.exec(sql, args...)
	return h
}

func (h holder) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.Exec(h.t.Context(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}

func (h holder) release() { _ = h.Rollback(context.Background()) }

// waiting returns the number of the role's sessions that wait for a lock.
func waiting(t *testing.T, e *env, role string) (n int) {
	t.Helper()
	if err := e.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock'`, role).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// setting changes a default of the test's database and closes the program's connections, so that the setting applies.
func (e *env) setting(t *testing.T, name, value string) {
	t.Helper()
	e.OwnerExec(t, fmt.Sprintf(`ALTER DATABASE %s SET %s = '%s'`, e.Name, name, value))
	e.PGProxy.Reset()
}

// untilInTime repeats a schedule if a statement's budget ended before the schedule did.
func untilInTime(t *testing.T, what string, want fault, schedule func() error) {
	t.Helper()
	for {
		err := schedule()
		if got := faultOf(err); got == want || got != unavailable && got.code != twirp.DeadlineExceeded || t.Context().Err() != nil {
			wantFault(t, what, err, want)
			return
		}
	}
}

// TestDeadlock makes the service wait in a circle of three transactions.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	e.setting(t, "deadlock_timeout", "10ms")
	p := newPGPlayer(t, e)
	rows := map[string]*databasev1.Character{
		"SaveCharacter": p.saved, "DeleteCharacter, SCHEDULED": p.marked, "DeleteCharacter, IMMEDIATE": p.deleted, "RestoreCharacter": p.restored,
	}
	const line = `SELECT FROM game.cache_change WHERE key = $1 FOR UPDATE`
	for name, c := range rows {
		call := p.writes()[name]
		untilInTime(t, name+" in a deadlock", retry, func() error {
			// A write locks the character, its row in the change log, and the row of its owner.
			first := hold(t, e, line, fmt.Sprint("character:", c.Id))
			defer first.release()
			second := hold(t, e, line, "characters:"+p.id)
			defer second.release()
			answer := make(chan error, 1)
			go func() { answer <- call(t.Context()) }()
			eventually(t, name+" to wait", func() bool { return len(answer) > 0 || waiting(t, e, "game_service") > 0 })
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_, _ = second.Exec(t.Context(), `SELECT FROM game.character WHERE id = $1 FOR UPDATE`, c.Id)
			}()
			eventually(t, "the second transaction to wait", func() bool { return len(answer) > 0 || waiting(t, e, "postgres") > 0 })
			first.release()
			err := <-answer
			<-closed
			return err
		})
	}
	wantEach(t, "after the deadlocks", p.all(), none)
}

// TestSerializationFailure changes a row between a statement's snapshot and its write, in a database whose default isolation is
// repeatable read.
func TestSerializationFailure(t *testing.T) {
	t.Parallel()
	e := start(t, redisKind())
	e.setting(t, "default_transaction_isolation", "repeatable read")
	p := newPGPlayer(t, e)
	for name, call := range p.writes() {
		untilInTime(t, name+" whose row changes", retry, func() error {
			var other holder
			switch name {
			case "RefreshSession":
				other = hold(t, e, p.Expand(`UPDATE {session} SET [userAgent] = 'another' WHERE id = $1`), p.session)
			case "CreateCharacter": // has no row yet; its owner has one in the change log
				other = hold(t, e, `UPDATE game.cache_change SET xid = xid WHERE key = $1`, "characters:"+p.id)
			default:
				other = hold(t, e, `UPDATE game.character SET extra = '{}' WHERE user_id = $1`, p.id)
			}
			defer other.release()
			answer := make(chan error, 1)
			go func() { answer <- call(t.Context()) }()
			eventually(t, name+" to wait", func() bool { return len(answer) > 0 || waiting(t, e, "game_service") > 0 })
			if err := other.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			return <-answer
		})
	}
	e.setting(t, "default_transaction_isolation", "read committed")
	wantEach(t, "after the failures", p.all(), none)
}

// TestLockedRow locks rows for longer than a statement may wait, by the program's budget and by the server's settings.
func TestLockedRow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, setting string
		want          fault
	}{
		{"statement budget", "", unavailable},
		{"statement_timeout", "50ms", unavailable}, // SQLSTATE 57014
		{"lock_timeout", "50ms", retry},            // SQLSTATE 55P03
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := start(t, redisKind(), testenv.RealDatabaseBudgets)
			p := newPGPlayer(t, e)
			if test.setting != "" {
				e.setting(t, test.name, test.setting)
			}
			rows := hold(t, e, `SELECT FROM game.character WHERE user_id = $1 FOR UPDATE`, p.id)
			session := hold(t, e, p.Expand(`SELECT FROM {session} WHERE id = $1 FOR UPDATE`), p.session)
			updates := p.writes()
			delete(updates, "CreateCharacter") // it inserts a row
			wantEach(t, "on a locked row", updates, test.want)
			wantEach(t, "beside a locked row", p.live(), none)
			rows.release()
			session.release()
			if test.setting != "" {
				e.setting(t, test.name, "0") // the calls below wait for each other
			}
			wantEach(t, "after the locks", p.all(), none)
		})
	}
}
