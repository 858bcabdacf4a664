package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

// standby is a streaming, asynchronous standby of the world's PostgreSQL.
type standby struct {
	*embedded.Postgres
	dir         string
	databaseURL string
	replication *faultproxy.Proxy // between the standby and the primary
}

// newStandby starts a standby from a base backup. It does without pg_basebackup, which some packages of PostgreSQL lack.
func (w *world) newStandby(ctx context.Context) (_ *standby, err error) {
	s := &standby{}
	if s.dir, err = os.MkdirTemp("", "reliability-standby-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	data := filepath.Join(s.dir, "data")
	label, err := w.copyData(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("base backup: %w", err)
	}
	for name, text := range map[string]string{
		filepath.Join(data, "backup_label"): label, filepath.Join(data, "standby.signal"): "",
		filepath.Join(s.dir, "password"): "none", // not used: all logins are trusted
	} {
		if err := writeForAll(name, text); err != nil {
			return nil, err
		}
	}
	if s.replication, err = faultproxy.New(w.Postgres.Addr()); err != nil {
		return nil, err
	}
	s.Postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{Dir: s.dir, Trust: true, Settings: map[string]string{
		"fsync": "off", "max_connections": "200", "shared_buffers": "128MB", "wal_retrieve_retry_interval": "100ms",
		"primary_conninfo": "postgres://postgres@" + s.replication.Addr() + "/postgres?sslmode=disable",
	}})
	if err == nil {
		s.databaseURL = w.PostgresURL(s.Postgres)
	}
	return s, err
}

// copyData copies the files of the running server in backup mode, and returns the backup label for the copy.
func (w *world) copyData(ctx context.Context, to string) (label string, err error) {
	conn, err := pgx.Connect(ctx, w.Postgres.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var from string
	if err := conn.QueryRow(ctx, "SELECT setting, pg_backup_start('standby', fast => true) FROM pg_settings WHERE name = 'data_directory'").Scan(&from, nil); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cp: %w: %s", err, out)
	}
	if err := os.Remove(filepath.Join(to, "postmaster.pid")); err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, "SELECT labelfile FROM pg_backup_stop()").Scan(&label)
	return label, err
}

// writeForAll writes a file that the server can replace, whichever user it runs as.
func writeForAll(name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(name)), 0o755); err != nil {
		return err
	}
	return os.Chmod(name, 0o666)
}

func (s *standby) close() error {
	var err error
	if s.Postgres != nil {
		err = s.Stop()
	}
	if s.replication != nil {
		s.replication.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// caughtUp waits until the standby has all commits of the primary.
func (s *standby) caughtUp(ctx context.Context, w *world) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var at string
	if err := w.DB.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&at); err != nil {
		return err
	}
	return s.await(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", at)
}

// promote promotes the standby and returns once it accepts writes.
func (s *standby) promote(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := s.await(ctx, "SELECT pg_promote(wait => false)"); err != nil {
		return err
	}
	return s.await(ctx, "SELECT NOT pg_is_in_recovery()")
}

// await runs a query on the standby until it returns true.
func (s *standby) await(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, s.databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for yes := false; ; {
		if err := conn.QueryRow(ctx, sql, args...).Scan(&yes); err != nil || yes {
			return err
		}
		if !testbed.Pause(ctx, poll) {
			return fmt.Errorf("the standby is not ready in time: %w", ctx.Err())
		}
	}
}
