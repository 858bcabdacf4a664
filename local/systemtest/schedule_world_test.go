package systemtest_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// cached reads until the entity is in Redis under a fresh watermark.
func cached(t *testing.T, s *stage) error {
	for range 100 {
		before := s.processes[0].Cache.Stats().Hits
		if got, err := s.read(t.Context(), 0); err == nil && got != s.version {
			return fmt.Errorf("read version %d, but only %d was ever written", got, s.version)
		}
		if s.processes[0].Cache.Stats().Hits > before {
			return nil
		}
	}
	return fmt.Errorf("%w: no hit", errNotPlayed)
}

// uncached leaves a fresh watermark and no value.
func uncached(t *testing.T, s *stage) error {
	return inOrder(cached, loses(theEntity))(t, s)
}

// commits is a change by the web application, which does not delete from Redis.
func commits(t *testing.T, s *stage) error {
	s.version++
	s.WebExec(t, `UPDATE {user} SET [name] = $2 WHERE id = $1`, s.user, fmt.Sprint(s.version))
	return nil
}

// begins is commits without its commit. The transaction already has its id.
func begins(t *testing.T, s *stage) (err error) {
	s.open, err = s.Web.Begin(t.Context())
	if err == nil {
		_, err = s.open.Exec(t.Context(), s.Expand(`UPDATE {user} SET [name] = $2 WHERE id = $1`), s.user, fmt.Sprint(s.version+1))
	}
	return err
}

// concludes commits the transaction of begins.
func concludes(t *testing.T, s *stage) error {
	s.version++
	return s.open.Commit(t.Context())
}

func anotherTransactionCommits(t *testing.T, s *stage) error {
	s.AddUser(t, newName())
	return nil
}

// locks locks the row of the entity against writers.
func locks(t *testing.T, s *stage) (err error) {
	if s.open, err = s.Owner.Begin(t.Context()); err == nil {
		_, err = s.open.Exec(t.Context(), `SELECT FROM game.character WHERE id = $1 FOR UPDATE`, s.character)
	}
	return err
}

// awaitsWaiter waits until a writer waits for the lock.
func awaitsWaiter(t *testing.T, s *stage) error {
	for {
		if waits, err := s.writerWaits(t); waits || err != nil {
			return err
		}
	}
}

func (s *stage) writerWaits(t *testing.T) (waits bool, err error) {
	err = s.Owner.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity
		WHERE datname = current_database() AND usename = 'game_service' AND wait_event_type = 'Lock'`).Scan(&waits)
	return waits, err
}

func unlocks(_ *testing.T, s *stage) error { return s.open.Rollback(context.Background()) }

// loses deletes a key, as an eviction or the expiry of a lock does.
func loses(key func(*stage, *testing.T) string) step {
	return func(t *testing.T, s *stage) error { return s.Redis.Client.Del(t.Context(), key(s, t)).Err() }
}

func theWatermark(s *stage, t *testing.T) string { return s.Watermark(t) }

func theLock(s *stage, t *testing.T) string { return s.SyncLock(t) }

func theEntity(s *stage, _ *testing.T) string { return s.key() }

func syncIsLocked(t *testing.T, s *stage) error {
	return s.Redis.Client.Set(t.Context(), s.SyncLock(t), "another", cache.DefaultBudgets().Times(testenv.Stretch).Lock).Err()
}

// ages makes the watermark older, as if that time had passed without a sync.
func ages(d time.Duration) step {
	return func(t *testing.T, s *stage) error {
		s.since += d
		s.AgeWatermark(t, d)
		return nil
	}
}

// passes waits until that time has passed by the clock of Redis.
func passes(d time.Duration) step {
	return func(t *testing.T, s *stage) error {
		begin, err := s.Redis.Client.Time(t.Context()).Result()
		for now := begin; err == nil && now.Sub(begin) <= d; {
			time.Sleep(time.Millisecond)
			now, err = s.Redis.Client.Time(t.Context()).Result()
		}
		return err
	}
}

// replicates copies the state to a replica of Redis, which receives nothing later.
func replicates(t *testing.T, s *stage) error {
	s.since, s.replica = 0, map[string]map[string]string{}
	for _, key := range []string{s.Watermark(t), s.key()} {
		s.replica[key] = maps.Clone(s.Redis.Client.HGetAll(t.Context(), key).Val())
	}
	return nil
}

// failsOver replaces the primary with the replica.
func failsOver(t *testing.T, s *stage) error {
	s.Redis.Client.FlushAll(t.Context())
	for key, fields := range s.replica {
		if err := s.Redis.Client.HSet(t.Context(), key, fields).Err(); err != nil {
			return err
		}
	}
	return ages(s.since)(t, s)
}
