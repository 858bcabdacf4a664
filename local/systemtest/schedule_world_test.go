package systemtest_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"
)

// cached has the entity in Redis, under a watermark that is fresh.
func cached(t *testing.T, s *stage) error {
	for range 100 {
		before := s.processes[0].Cache.Stats().Hits
		if got, err := s.read(t.Context(), 0); err == nil && got != s.version {
			return fmt.Errorf("read version %d, where nothing but %d was there ever", got, s.version)
		}
		if s.processes[0].Cache.Stats().Hits > before {
			return nil
		}
	}
	return fmt.Errorf("%w: no hit", errNotPlayed)
}

// uncached has a fresh watermark and no value.
func uncached(t *testing.T, s *stage) error {
	return inOrder(cached, func(t *testing.T, s *stage) error { return loses(s.key())(t, s) })(t, s)
}

// commits is a change by the web application, which tells nobody.
func commits(t *testing.T, s *stage) error {
	s.version++
	s.WebExec(t, `UPDATE {user} SET [name] = $2 WHERE id = $1`, s.user, fmt.Sprint(s.version))
	return nil
}

// begins is commits up to its commit: the transaction has its id.
func begins(t *testing.T, s *stage) (err error) {
	s.open, err = s.Web.Begin(t.Context())
	if err == nil {
		_, err = s.open.Exec(t.Context(), s.Expand(`UPDATE {user} SET [name] = $2 WHERE id = $1`), s.user, fmt.Sprint(s.version+1))
	}
	return err
}

// concludes commits what begins began.
func concludes(t *testing.T, s *stage) error {
	s.version++
	return s.open.Commit(t.Context())
}

func somebodyElseCommits(t *testing.T, s *stage) error {
	s.AddUser(t, newName())
	return nil
}

// locks holds the row of the entity back from who wants to write it.
func locks(t *testing.T, s *stage) (err error) {
	if s.open, err = s.Owner.Begin(t.Context()); err == nil {
		_, err = s.open.Exec(t.Context(), `SELECT FROM game.character WHERE id = $1 FOR UPDATE`, s.character)
	}
	return err
}

// awaitsWaiter waits for a writer who has found the lock.
func awaitsWaiter(t *testing.T, s *stage) error {
	for {
		if waits, err := s.somebodyWaits(t); waits || err != nil {
			return err
		}
	}
}

func (s *stage) somebodyWaits(t *testing.T) (waits bool, err error) {
	err = s.Owner.QueryRow(t.Context(), `SELECT count(*) > 0 FROM pg_stat_activity
		WHERE datname = current_database() AND usename = 'game_service' AND wait_event_type = 'Lock'`).Scan(&waits)
	return waits, err
}

func unlocks(_ *testing.T, s *stage) error { return s.open.Rollback(context.Background()) }

// loses has Redis evict a key, or a lock run out.
func loses(key string) step {
	return func(t *testing.T, s *stage) error { return s.Redis.Client.Del(t.Context(), key).Err() }
}

func syncIsLocked(t *testing.T, s *stage) error {
	return s.Redis.Client.Set(t.Context(), "wm:lock", "another", time.Minute).Err()
}

// ages makes the watermark older, as if that time had passed since and nobody had looked.
func ages(d time.Duration) step {
	return func(t *testing.T, s *stage) error {
		s.since += d
		return s.Redis.Client.HIncrBy(t.Context(), "wm", "t", -d.Milliseconds()).Err()
	}
}

// passes waits until that time has passed on the clock of Redis.
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

// replicates is the last that a replica of Redis hears from its primary.
func replicates(t *testing.T, s *stage) error {
	s.since, s.replica = 0, map[string]map[string]string{}
	for _, key := range []string{"wm", s.key()} {
		s.replica[key] = maps.Clone(s.Redis.Client.HGetAll(t.Context(), key).Val())
	}
	return nil
}

// failsOver has the replica take over.
func failsOver(t *testing.T, s *stage) error {
	s.Redis.Client.FlushAll(t.Context())
	for key, fields := range s.replica {
		if err := s.Redis.Client.HSet(t.Context(), key, fields).Err(); err != nil {
			return err
		}
	}
	return ages(s.since)(t, s)
}
