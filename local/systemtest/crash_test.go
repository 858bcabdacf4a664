package systemtest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// crashesOfReads returns a crash at every point of a read that syncs, misses and fills.
func crashesOfReads() []schedule {
	var all []schedule
	for _, at := range []testenv.Point{
		testenv.AfterLookup, testenv.AfterBegin, testenv.BeforeApply, testenv.AfterApply, testenv.BeforeLease, testenv.AfterLease,
		testenv.BeforeFill, testenv.AfterFill,
	} {
		all = append(all, schedule{"a read " + string(at), aUser, []step{
			cached, commits, ages(stale), dies(at, false), bothSeeTruth, heals,
			commits, ages(stale), bothSeeTruth, heals,
		}})
	}
	return all
}

// crashesOfWrites returns crashes at every point of a write. The caller retries in another process: immediately, when the old
// value may still be cached under a fresh watermark, or after MaxStaleness.
func crashesOfWrites() []schedule {
	var all []schedule
	for of, name := range map[entity]string{aCharacter: "a save ", aList: "a creation "} {
		for _, at := range []testenv.Point{beforeStatement, inStatement, testenv.BeforeDelete, testenv.AfterDelete} {
			lands := at != beforeStatement
			all = append(all,
				schedule{name + string(at) + ", again immediately", of, []step{
					cached, dies(at, true), lives(lands), bothSeeAtMostTruth, isFresh, retries(lands), bothSeeTruth, heals, lives(true),
				}},
				schedule{name + string(at) + ", again after MaxStaleness", of, []step{
					cached, dies(at, true), lives(lands), ages(stale), bothSeeTruth, heals, retries(lands), bothSeeTruth, heals, lives(true),
				}})
		}
	}
	return all
}

// TestCrashes checks what other processes read after a process died at a point of the cache protocol.
func TestCrashes(t *testing.T) {
	t.Parallel()
	t.Run("reads", func(t *testing.T) {
		t.Parallel()
		eachRedis(t, func(t *testing.T, e *env) { stageAll(t, e, crashesOfReads()) })
	})
	t.Run("writes", func(t *testing.T) {
		t.Parallel()
		stageAll(t, start(t, testenv.RedisKinds()[0]), crashesOfWrites())
	})
}

// truth returns the entity's version in the database and the number of writes.
func (s *stage) truth(t *testing.T) (version, writes int64, err error) {
	sql, id := `SELECT money, version - 1 FROM game.character WHERE id = $1`, any(s.character)
	if s.entity == aList {
		sql, id = `SELECT count(*), count(*) FROM game.character WHERE user_id = $1`, s.user
	}
	err = s.Owner.QueryRow(t.Context(), sql, id).Scan(&version, &writes)
	return version, writes, err
}

// lives checks that the dead process's write took effect once, or not at all if want is false. The server may still execute it.
func lives(want bool) step {
	return func(t *testing.T, s *stage) error {
		for {
			busy, err := s.serverIsBusy(t)
			if err != nil {
				return err
			}
			version, writes, err := s.truth(t)
			switch {
			case err != nil:
				return err
			case writes > 1 || !want && writes > 0:
				return fmt.Errorf("the write was done %d times", writes)
			case (writes == 1) == want:
				s.version = version
				return nil
			case !busy: // the process canceled the statement before it was killed
				return fmt.Errorf("%w: the write did not take place", errNotPlayed)
			}
		}
	}
}

func (s *stage) serverIsBusy(t *testing.T) (busy bool, err error) {
	err = s.Owner.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity
		WHERE datname = current_database() AND usename = 'game_service' AND state = 'active'`).Scan(&busy)
	return busy, err
}

// bothSeeTruth checks that both processes read what is in the database.
func bothSeeTruth(t *testing.T, s *stage) error {
	return inOrder(one.sees(s.version), two.sees(s.version))(t, s)
}

// bothSeeAtMostTruth checks both processes before MaxStaleness has passed: they read the version in the database or
// an older one.
func bothSeeAtMostTruth(t *testing.T, s *stage) error { return inOrder(one.sees(0), two.sees(0))(t, s) }

// isFresh makes the watermark fresh without a sync, so that reads return what is in Redis.
func isFresh(t *testing.T, s *stage) error {
	now, err := s.Redis.Client.Time(t.Context()).Result()
	if err != nil {
		return err
	}
	s.SetWatermarkTime(t, now)
	return nil
}

// retries repeats the write in the other process, which must report a replay if it was done.
func retries(done bool) step {
	return func(t *testing.T, s *stage) error {
		replayed, err := s.write(t.Context(), 1)
		if err == nil && replayed != done {
			err = fmt.Errorf("the repeated write returned replayed = %t, want %t", replayed, done)
		}
		s.version = 1
		return err
	}
}

// heals waits until both processes hit. Locks and leases of the dead process expire.
func heals(t *testing.T, s *stage) error {
	for i, p := range s.processes {
		hits, tries := p.Cache.Stats().Hits, 0
		for p.Cache.Stats().Hits == hits {
			got, err := s.read(t.Context(), i)
			switch tries++; {
			case err != nil:
				return err
			case got != s.version:
				return fmt.Errorf("process %d read version %d, want %d as in the database", i+1, got, s.version)
			case tries == 10_000:
				return errors.New("no hit after the crash")
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
