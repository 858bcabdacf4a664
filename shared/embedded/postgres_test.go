package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/embedded"
)

func TestStartPostgres(t *testing.T) {
	t.Parallel()

	t.Run("trust and settings", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, embedded.PostgresOptions{Trust: true, Settings: map[string]string{
			"fsync": "off", "application_name": "two words"}})
		if !p.Fresh() {
			t.Error("Fresh: got false, want true")
		}
		wantAnswer(t, p.URL("postgres"), "SHOW fsync", "off")
		wantAnswer(t, p.URL("postgres"), "SHOW application_name", "two words")
		wantAnswer(t, p.URL("template1"), "SELECT current_database()", "template1")
		wantAnswer(t, p.URL("postgres"), "SHOW server_encoding", "UTF8")
		version, err := query(t, p.URL("postgres"), "SHOW server_version")
		if err != nil || !strings.HasPrefix(version+" ", p.Version()+" ") {
			t.Errorf("Version: got %q, server says %q, %v", p.Version(), version, err)
		}
	})

	t.Run("password", func(t *testing.T) {
		t.Parallel()
		p := mustStart(t, embedded.PostgresOptions{})
		wantAnswer(t, p.URL("postgres"), "SELECT current_user", "postgres")
		if got, err := query(t, p.UserURL("postgres", "wrong", "postgres"), "SELECT ''"); err == nil {
			t.Errorf("wrong password: got %q, want an error", got)
		}
	})

	t.Run("setting that the server refuses", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{
			Dir: dir, Settings: map[string]string{"no_such_setting": "1"}})
		wantError(t, err, "no_such_setting")
		password, readErr := os.ReadFile(filepath.Join(dir, "password"))
		if readErr != nil {
			t.Fatal(readErr)
		}
		if strings.Contains(err.Error(), string(password)) {
			t.Errorf("the error contains the password: %v", err)
		}
	})

	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{})
		wantError(t, err, context.Canceled.Error())
	})
}

func TestKeptDirectory(t *testing.T) {
	t.Parallel()

	t.Run("data stays", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(openDir(t), "made", "for us")
		p := mustStart(t, embedded.PostgresOptions{Dir: dir})
		mustExec(t, p.URL("postgres"), "CREATE TABLE kept AS SELECT 'yes' AS answer")
		mustStop(t, p)

		for _, trust := range []bool{false, true} {
			p := mustStart(t, embedded.PostgresOptions{Dir: dir, Trust: trust})
			if p.Fresh() {
				t.Error("Fresh: got true, want false")
			}
			wantAnswer(t, p.URL("postgres"), "SELECT answer FROM kept", "yes")
			mustStop(t, p)
		}
	})

	t.Run("password is private", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		mustStart(t, embedded.PostgresOptions{Dir: dir})
		info, err := os.Stat(filepath.Join(dir, "password"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("password: got %v, %v, want mode 0600", info, err)
		}
	})

	t.Run("in use", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		h := startHelper(t, dir)
		h.serverPID(t)
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: dir})
		wantError(t, err, dir, "in use by another process")
		h.finish(t)
		mustStart(t, embedded.PostgresOptions{Dir: dir})
	})

	t.Run("below a folder that the server's user cannot enter", func(t *testing.T) {
		t.Parallel()
		closed := t.TempDir()
		if err := os.Chmod(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(closed, "data")
		if os.Geteuid() != 0 {
			mustStart(t, embedded.PostgresOptions{Dir: dir})
			return
		}
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: dir})
		wantError(t, err, "cannot enter "+filepath.Dir(closed))
	})
}

func TestKill(t *testing.T) {
	t.Parallel()
	p := mustStart(t, embedded.PostgresOptions{Trust: true})
	url := p.URL("postgres")
	// A busy session outlives the main process: the restart has to wait for it.
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		_, _ = query(t, url, "DO $$ BEGIN WHILE clock_timestamp() < now() + interval '1 s' LOOP END LOOP; END $$")
	}()
	waitFor(t, func() bool {
		n, err := query(t, url, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'DO %'")
		return err == nil && n == "1"
	})

	first := p.PID()
	done := p.Done()
	if err := p.Kill(); err != nil {
		t.Fatalf("Kill: %v", err)
	}
	<-done
	if err := p.Kill(); err != nil {
		t.Errorf("Kill again: %v", err)
	}
	for range 2 { // the second time while it runs
		if err := p.Restart(t.Context()); err != nil {
			t.Fatalf("Restart: %v", err)
		}
		if p.PID() == first || p.URL("postgres") != url {
			t.Errorf("Restart: got process %d at %s, want another one than %d at %s", p.PID(), p.URL("postgres"), first, url)
		}
		wantAnswer(t, url, "SELECT 'up'", "up")
	}
	<-busy
	mustStop(t, p)
	<-p.Done()
	if err := p.Stop(); err != nil {
		t.Errorf("Stop again: %v", err)
	}
	if err := p.Restart(t.Context()); err == nil {
		t.Error("Restart after Stop: got no error")
	}
}

func TestKilledProcess(t *testing.T) {
	t.Parallel()

	t.Run("kept directory", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		h := startHelper(t, dir)
		left := h.serverPID(t)
		h.kill(t)
		p := mustStart(t, embedded.PostgresOptions{Dir: dir})
		if embedded.Running(left) {
			t.Errorf("process %d still runs", left)
		}
		wantAnswer(t, p.URL("postgres"), "SELECT 'up'", "up")
	})

	t.Run("during initdb", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		h := launchHelper(t, dir)
		waitFor(t, func() bool {
			found, err := filepath.Glob(filepath.Join(dir, "unfinished-*", "base"))
			return err == nil && len(found) == 1
		})
		h.kill(t)
		p := mustStart(t, embedded.PostgresOptions{Dir: dir})
		wantAnswer(t, p.URL("postgres"), "SELECT 'up'", "up")
		if left, err := filepath.Glob(filepath.Join(dir, "unfinished-*")); err != nil || len(left) != 0 {
			t.Errorf("left: %q, %v", left, err)
		}
	})

	t.Run("temporary directory", func(t *testing.T) {
		t.Parallel()
		base := openDir(t)
		killed := startHelper(t, "-", "TMPDIR="+base)
		left := killed.serverPID(t)
		alive := startHelper(t, "-", "TMPDIR="+base)
		aliveServer := alive.serverPID(t)
		killed.kill(t)

		startHelper(t, "-", "TMPDIR="+base).finish(t)
		if embedded.Running(left) {
			t.Errorf("process %d still runs", left)
		}
		if got := countEntries(t, base); got != 1 || !embedded.Running(aliveServer) {
			t.Errorf("after a start: %d directories, the live one's server runs: %t; want 1, true", got, embedded.Running(aliveServer))
		}
		alive.finish(t)
		if got := countEntries(t, base); got != 0 {
			t.Errorf("after Stop: %d directories, want 0", got)
		}
	})

	t.Run("server left running", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		left := mustStart(t, embedded.PostgresOptions{Dir: dir})
		if err := left.Abandon(); err != nil {
			t.Fatal(err)
		}
		p := mustStart(t, embedded.PostgresOptions{Dir: dir})
		<-left.Done()
		wantAnswer(t, p.URL("postgres"), "SELECT 'up'", "up")
	})

	t.Run("number given to another process", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		mustStop(t, mustStart(t, embedded.PostgresOptions{Dir: dir}))
		pidFile := filepath.Join(dir, "data", "postmaster.pid")
		// Process 1 is alive and is not a PostgreSQL server.
		if err := os.WriteFile(pidFile, []byte("1\n"+dir+"/data\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := mustStart(t, embedded.PostgresOptions{Dir: dir})
		wantAnswer(t, p.URL("postgres"), "SELECT 'up'", "up")
	})
}

func countEntries(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatal("the condition did not become true within 2 minutes")
		}
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want %q in it", err, part)
		}
	}
}
