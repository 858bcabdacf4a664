package characters_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/postgres"
)

func TestConcurrentPurges(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	rounds(t, 3, func() ([]fault, func()) {
		e.OwnerExec(t, `DELETE FROM game.character`)
		e.mass(t, 1000, "NULL")
		e.mass(t, 500, "now() - interval '31 days'")
		done, faults := together(4, func(int) (characters.Purged, error) {
			done, err := e.repository().Purge(t.Context())
			if errors.Is(err, postgres.ErrUnavailable) {
				return unknown, nil
			}
			return done, err
		})
		if slices.Contains(done, unknown) {
			faults[0] = unavailable
		}
		return faults, func() {
			var all characters.Purged
			for i, d := range done {
				wantFaultless(t, faults[i])
				all.Finished += d.Finished
				all.Forgotten += d.Forgotten
			}
			wantPurged(t, "4 purges at once", all, characters.Purged{Finished: 1000, Forgotten: 500})
			if n := e.number(t, `SELECT count(*) FROM game.character WHERE deleted_at = delete_at AND version = 2`); n != 1000 {
				t.Errorf("%d rows were finished once, want 1000", n)
			}
		}
	})
}

func wantFaultless(t testing.TB, f fault) {
	t.Helper()
	if f != (fault{}) {
		t.Errorf("Purge failed: %+v", f)
	}
}

// TestPurgeAndCreate runs creates beside a purge: concurrent ones, and one that waits for a row that the purge
// therefore skips.
func TestPurgeAndCreate(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	roster := func() (user string, all []*databasev1.Character) {
		user = e.user(t)
		for range 5 {
			all = append(all, e.mustCreate(t, user))
		}
		for _, c := range all {
			e.setDeadline(t, c, -time.Second)
		}
		return user, all
	}
	t.Run("at once", func(t *testing.T) {
		rounds(t, 10, func() ([]fault, func()) {
			user, all := roster()
			_, faults := together(6, func(i int) (any, error) {
				if i == 0 {
					e.purge(t)
					return nil, nil
				}
				return e.CreateCharacter(t.Context(), &databasev1.CreateCharacterRequest{UserId: user, Name: all[i-1].Name})
			})
			return faults, func() {
				wantWinners(t, "CreateCharacter beside a purge", faults, 6, fault{})
				for _, c := range all {
					if diff := cmp.Diff(fate{Kept: true, Finished: true, Version: 2}, e.fate(t, c)); diff != "" {
						t.Errorf("a character whose name was taken again (-want +got):\n%s", diff)
					}
				}
			}
		})
	})
	t.Run("a create waits for a row", func(t *testing.T) {
		user, all := roster()
		conn, err := e.Owner.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Rollback(t.Context())
		if _, err := conn.Exec(t.Context(), `SELECT FROM game.character WHERE id = $1 FOR UPDATE`, all[0].Id); err != nil {
			t.Fatal(err)
		}
		created := make(chan error, 1)
		go func() {
			_, err := patiently(t, e.CreateCharacter, &databasev1.CreateCharacterRequest{UserId: user, Name: all[0].Name, RequestId: newUUID()})
			created <- err
		}()
		eventually(t, "the create to wait for the lock", func() bool {
			return e.number(t, `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND usename = 'game_service' AND wait_event_type = 'Lock'`) > 0
		})
		e.purge(t)
		if f := e.fate(t, all[0]); f.Finished {
			t.Errorf("the locked character after a purge = %+v, want it skipped", f)
		}
		if err := conn.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "CreateCharacter", <-created, fault{})
		e.purge(t)
		for _, c := range all {
			if diff := cmp.Diff(fate{Kept: true, Finished: true, Version: 2}, e.fate(t, c)); diff != "" {
				t.Errorf("a character of the user (-want +got):\n%s", diff)
			}
		}
	})
}

// undisturbed repeats play until no statement timed out.
func undisturbed(t testing.TB, play func() (done characters.Purged, disturbed bool, err error)) (characters.Purged, error) {
	t.Helper()
	for range 20 {
		done, disturbed, err := play()
		if !disturbed {
			return done, err
		}
		t.Logf("a purge timed out: %+v, %v", done, err)
	}
	t.Fatal("every purge timed out")
	return unknown, nil
}

// before runs f before the nth statement of a purge, from 1.
func before(n int, f func()) func() time.Time {
	calls := 0
	return func() time.Time {
		if calls == n {
			f()
		}
		calls++
		return time.Now()
	}
}

func TestPurgeFails(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	// The first batch succeeds, then something fails.
	lose := func(t *testing.T, what string, lost error, how func(cancel func())) {
		t.Helper()
		done, err := undisturbed(t, func() (characters.Purged, bool, error) {
			e.OwnerExec(t, `DELETE FROM game.character`)
			e.mass(t, 300, "NULL")
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			done, err := e.repository().PurgeBy(ctx, before(2, func() { how(cancel) }))
			e.PGProxy.Accept()
			return done, errors.Is(err, postgres.ErrUnavailable) && done.Finished == 0, err
		})
		if !errors.Is(err, lost) || done.Finished != 100 {
			t.Errorf("Purge that loses %s after a batch = %+v, %v, want 100 and %v", what, done, err, lost)
		}
		if n := e.number(t, countDueSQL); n != 200 {
			t.Errorf("after the purge %d deletions are due, want 200", n)
		}
		wantPurged(t, "Purge after it", e.purge(t), characters.Purged{Finished: 200})
	}
	t.Run("the database is lost", func(t *testing.T) {
		lose(t, "the database", postgres.ErrUnavailable, func(func()) { e.PGProxy.Refuse() })
	})
	t.Run("its context ends", func(t *testing.T) {
		lose(t, "its context", context.Canceled, func(cancel func()) { cancel() })
	})
	t.Run("the database rolls back batches", func(t *testing.T) {
		e.OwnerExec(t, `CREATE SEQUENCE tries`)
		e.OwnerExec(t, `CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
			IF nextval('tries') NOT IN (6, 12) THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF;
			RETURN NULL; END $$`)
		done, err := undisturbed(t, func() (characters.Purged, bool, error) {
			e.OwnerExec(t, `DROP TRIGGER IF EXISTS undo ON game.character`)
			e.OwnerExec(t, `DELETE FROM game.character`)
			e.mass(t, 300, "NULL")
			e.OwnerExec(t, `ALTER SEQUENCE tries RESTART`)
			e.OwnerExec(t, `CREATE TRIGGER undo BEFORE UPDATE ON game.character FOR EACH STATEMENT EXECUTE FUNCTION undo()`)
			done, err := e.repository().Purge(t.Context())
			return done, errors.Is(err, postgres.ErrUnavailable), err
		})
		if !errors.Is(err, postgres.ErrRetry) || done.Finished != 200 {
			t.Errorf("Purge with every batch rolled back 5 times and the last one more often = %+v, %v, want 200 and postgres.ErrRetry", done, err)
		}
		e.OwnerExec(t, `DROP TRIGGER undo ON game.character`)
		wantPurged(t, "Purge after it", e.purge(t), characters.Purged{Finished: 100})
	})
}

// TestPurgeTask checks the log line of a scheduled purge.
func TestPurgeTask(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	var out bytes.Buffer
	task := characters.PurgeTask(e.repository(), slog.New(slog.NewJSONHandler(&out, nil)))
	e.mass(t, 3, "NULL")
	if err := task(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.PGProxy.Refuse()
	if err := task(t.Context()); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("without PostgreSQL: %v, want ErrUnavailable", err)
	}
	type line struct {
		Level, Msg, Cause   string
		Finished, Forgotten int
	}
	var got []line
	for d := json.NewDecoder(&out); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if len(got) != 2 || got[0] != (line{Level: "INFO", Msg: "purged", Finished: 3}) || got[1].Level != "ERROR" || got[1].Msg != "purge failed" || got[1].Cause == "" {
		t.Errorf("the log has %+v, want one line for each run, the second an error with its cause", got)
	}
}

// TestPurgeWithoutItsRole purges with the service's login. It may finish deletions, and delete no row.
func TestPurgeWithoutItsRole(t *testing.T) {
	t.Parallel()
	e := one(t, characters.Config{})
	e.mass(t, 3, "NULL")
	e.mass(t, 5, "now() - interval '31 days'")
	var out bytes.Buffer
	task := characters.PurgeTask(characters.NewRepository(e.Program.DB, e.Program.Cache), slog.New(slog.NewJSONHandler(&out, nil)))
	if err := task(t.Context()); err == nil {
		t.Error("PurgeTask succeeded, want that it may not forget characters")
	}
	if want := "GRANT the group role of database-service migrate (database_service, for the purge database_service_purge, for StaffService database_service_staff)"; !strings.Contains(out.String(), want) || !strings.Contains(out.String(), `"finished":3`) {
		t.Errorf("the log has %s, want 3 finished and %q", &out, want)
	}
	if n := e.number(t, `SELECT count(*) FROM game.character`); n != 8 {
		t.Errorf("%d rows are left, want 8", n)
	}
}
