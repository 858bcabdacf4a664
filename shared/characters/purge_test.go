package characters_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/testenv"
)

func (e *env) repository() *characters.Repository {
	p := e.purger()
	return characters.NewRepository(p.DB, p.Cache)
}

// unknown is the result of a purge with a statement that timed out, so that its effect is unknown.
var unknown = characters.Purged{Finished: -1, Forgotten: -1}

// purge purges until nothing is left to do.
func (e *env) purge(t testing.TB) characters.Purged {
	t.Helper()
	done, err := e.repository().Purge(t.Context())
	for try := 1; errors.Is(err, postgres.ErrUnavailable) && try < 30; try++ {
		t.Logf("a purge timed out: %v", err)
		_, err = e.repository().Purge(t.Context())
		done = unknown
	}
	if err != nil {
		t.Fatalf("Purge = %v, want success", err)
	}
	return done
}

func wantPurged(t testing.TB, what string, got, want characters.Purged) {
	t.Helper()
	if got != want && got != unknown {
		t.Errorf("%s = %+v, want %+v", what, got, want)
	}
}

// mass creates n characters of users with five characters each. Their deadlines and ids are not in the order of the
// users.
func (e *env) mass(t testing.TB, n int, deletedAt string) {
	t.Helper()
	e.OwnerExec(t, `
INSERT INTO game.character (user_id, slot, name, level, job, money, delete_at, deleted_at)
SELECT 'purged-' || i / 5, i % 5, 'mass-' || md5(random()::text)::varchar(15), 1, 0, 0,
       now() - interval '1 second' * (1 + i * 7919 % $1), `+deletedAt+`
  FROM generate_series(0, $1::int - 1) AS i
 ORDER BY md5(i::text)`, n)
}

// fate is the state of a row after a purge.
type fate struct {
	Kept, Finished bool // Finished: deleted as of its deadline
	Version        int64
}

func (e *env) fate(t testing.TB, c *databasev1.Character) (f fate) {
	t.Helper()
	err := e.Owner.QueryRow(t.Context(), `SELECT true, coalesce(deleted_at = delete_at, false), version FROM game.character WHERE id = $1`, c.Id).
		Scan(&f.Kept, &f.Finished, &f.Version)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return f
}

func (e *env) number(t testing.TB, sql string) (n int) {
	t.Helper()
	if err := e.Owner.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const countDueSQL = `SELECT count(*) FROM game.character WHERE delete_at <= now() AND deleted_at IS NULL`

// purged purges one row of each kind with the service's own role.
func purged(t *testing.T, e *env) {
	e.purge(t)
	user := e.user(t)
	gone := func(ago string) *databasev1.Character {
		c := e.mustCreate(t, e.user(t))
		e.mustDelete(t, c, immediate)
		e.OwnerExec(t, `UPDATE game.character SET deleted_at = now() - $2::text::interval WHERE id = $1`, c.Id, ago)
		return c
	}
	due, later, restored, plain, orphan := e.mustCreate(t, user), e.mustCreate(t, user), e.mustCreate(t, user), e.mustCreate(t, user), e.mustCreate(t, e.user(t))
	late := e.mustCreate(t, e.user(t))
	e.setDeadline(t, due, -time.Millisecond)
	e.setDeadline(t, late, -31*24*time.Hour)
	e.mustDelete(t, later, scheduled)
	e.mustDelete(t, restored, scheduled)
	if _, err := patiently(t, e.RestoreCharacter, &databasev1.RestoreCharacterRequest{UserId: user, CharacterId: restored.Id}); err != nil {
		t.Fatal(err)
	}
	e.WebExec(t, `ALTER TABLE {user} DISABLE TRIGGER database_service_log_change`)
	e.WebExec(t, `DELETE FROM {user} WHERE id::text = $1`, orphan.UserId)
	e.WebExec(t, `ALTER TABLE {user} ENABLE ALWAYS TRIGGER database_service_log_change`)
	young, old := gone("29 days 23:59:00"), gone("30 days 00:00:01")

	wantPurged(t, "Purge", e.purge(t), characters.Purged{Finished: 2, Forgotten: 2})
	for _, test := range []struct {
		what string
		c    *databasev1.Character
		want fate
	}{
		{"one whose deadline has passed", due, fate{Kept: true, Finished: true, Version: 2}},
		{"one whose deadline passed 31 days ago", late, fate{}},
		{"one that is marked", later, fate{Kept: true, Version: 2}},
		{"one that was restored", restored, fate{Kept: true, Version: 3}},
		{"one without a mark", plain, fate{Kept: true, Version: 1}},
		{"one whose user is not there", orphan, fate{Kept: true, Version: 1}},
		{"one that is gone for 29 days", young, fate{Kept: true, Version: 2}},
		{"one that is gone for 30 days", old, fate{}},
	} {
		if diff := cmp.Diff(test.want, e.fate(t, test.c)); diff != "" {
			t.Errorf("%s after a purge (-want +got):\n%s", test.what, diff)
		}
	}
	next := e.mustCreateAs(t, &databasev1.CreateCharacterRequest{UserId: user, Name: due.Name})
	if next.Slot != due.Slot {
		t.Errorf("the next character of that name has slot %d, want %d, which the purge freed", next.Slot, due.Slot)
	}
	wantPurged(t, "Purge again", e.purge(t), characters.Purged{})
}

func TestPurgeBatches(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	e.mass(t, 1000, "NULL")
	e.mass(t, 250, "now() - interval '31 days'")
	e.OwnerExec(t, `CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, xid xid8, user_id text)`)
	e.OwnerExec(t, `CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
		INSERT INTO public.seen (xid, user_id) VALUES (pg_current_xact_id(), OLD.user_id); RETURN NULL; END $$`)
	e.OwnerExec(t, `CREATE TRIGGER see AFTER UPDATE OR DELETE ON game.character FOR EACH ROW EXECUTE FUNCTION see()`)
	wantPurged(t, "Purge", e.purge(t), characters.Purged{Finished: 1000, Forgotten: 250})
	// Purges lock the users' rows of the change log in this order, so two purges do not deadlock.
	if n := e.number(t, `SELECT count(*) FROM (SELECT user_id < lag(user_id) OVER (PARTITION BY xid ORDER BY n) AS back FROM seen) AS s WHERE back`); n != 0 {
		t.Errorf("%d of 1250 rows changed before one of an earlier user", n)
	}
	if n := e.number(t, `SELECT count(*) FROM game.character WHERE deleted_at = delete_at AND version = 2`); n != 1000 {
		t.Errorf("%d rows are finished after one batch, want 1000", n)
	}
}

// TestPurgeLocked runs a purge while another transaction has locked rows.
func TestPurgeLocked(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	e.mass(t, 150, "NULL")
	e.mass(t, 150, "now() - interval '31 days'")
	tx, err := e.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), `SELECT FROM game.character WHERE slot = 0 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	wantPurged(t, "Purge while a fifth is locked", e.purge(t), characters.Purged{Finished: 120, Forgotten: 120})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPurged(t, "Purge after it", e.purge(t), characters.Purged{Finished: 30, Forgotten: 30})
}

// TestPurgeTime runs a purge with a clock on which each statement takes a minute.
func TestPurgeTime(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	begin := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), begin.Add(15*time.Minute))
	defer cancel()
	// The purge uses 12 of 15 minutes: ten for due deletions, one to find that there are no more, and one to forget
	// rows.
	done, err := undisturbed(t, func() (characters.Purged, bool, error) {
		e.OwnerExec(t, `DELETE FROM game.character`)
		e.mass(t, 1000, "NULL")
		e.mass(t, 1000, "now() - interval '31 days'")
		n := -1
		done, err := e.repository().PurgeBy(ctx, func() time.Time {
			n++
			return begin.Add(time.Duration(max(0, n-1)) * time.Minute)
		})
		return done, errors.Is(err, postgres.ErrUnavailable), err
	})
	if err != nil || done != (characters.Purged{Finished: 1000, Forgotten: 100}) {
		t.Errorf("Purge in 15 minutes of one statement each = %+v, %v, want 1000 finished and 100 forgotten", done, err)
	}
	wantPurged(t, "the next Purge", e.purge(t), characters.Purged{Forgotten: 900})
}

// TestPurgePlan checks PostgreSQL's plan for a batch in a large table.
func TestPurgePlan(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	e.mass(t, 10_000, "CASE WHEN i % 2 = 0 THEN now() - interval '1 day' * (i % 60) END")
	e.OwnerExec(t, `ANALYZE game.character`)
	var forget string // the statement in the function
	if err := e.Owner.QueryRow(t.Context(), `SELECT substring(prosrc FROM '(WITH old.*?);') FROM pg_proc WHERE proname = 'forget_characters'`).Scan(&forget); err != nil {
		t.Fatal(err)
	}
	for index, sql := range map[string]string{"character_due": characters.FinishBatchSQL, "character_gone": forget} {
		rows, err := e.Owner.Query(t.Context(), "EXPLAIN "+sql)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		for _, want := range []string{"using " + index, "using character_pkey", "Nested Loop"} {
			if !strings.Contains(plan, want) {
				t.Errorf("the plan of a batch lacks %q:\n%s", want, plan)
			}
		}
		if strings.Contains(plan, "Seq Scan") {
			t.Errorf("the plan of a batch reads the whole table:\n%s", plan)
		}
	}
}

// TestPurgeCache checks a purge of a character that is still in Redis.
func TestPurgeCache(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, plain *testenv.Env) {
		n := plain.Count(t)
		e := start(t, plain, characters.Config{})
		user := e.user(t)
		c, other := e.mustCreate(t, user), e.mustCreate(t, user)
		e.setDeadline(t, c, 100*time.Millisecond)
		get := func() error {
			_, err := patiently(t, e.GetCharacter, &databasev1.GetCharacterRequest{CharacterId: c.Id})
			return err
		}
		list := func() []*databasev1.Character {
			return e.mustList(t, &databasev1.GetCharacterListRequest{UserId: user})
		}
		both := fmt.Sprintf("delete character:%d characters:%s", c.Id, user)
		_, _ = get(), list() // fill the cache, unless the machine is too busy
		e.waitUntilHidden(t, c)
		n.Reset()
		for _, when := range []string{"before", "after"} {
			wantFault(t, "GetCharacter "+when+" the purge", get(), notFound)
			wantSame(t, "GetCharacterList "+when+" the purge", list(), []*databasev1.Character{reduced(other)})
			if when == "before" {
				wantPurged(t, "Purge", e.purge(t), characters.Purged{Finished: 1})
			}
		}
		if slices.Contains(n.Commands("delete"), both) {
			t.Errorf("the purge sent %q to Redis, want nothing", both)
		}
	})
}
