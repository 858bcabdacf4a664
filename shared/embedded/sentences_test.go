package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestSentences makes starts fail as they do on developers' machines. The sentences stand in local/testdata/sentences.txt. Of
// an error with PostgreSQL's log only the first line does.
func TestSentences(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Embedded PostgreSQL")
	dir := openDir(t)
	add := func(err error, parts ...string) {
		t.Helper()
		wantError(t, err, parts...)
		line, _, _ := strings.Cut(err.Error(), "\n")
		sentences.Add(strings.ReplaceAll(line, dir, "DIR"))
	}
	start := func(folder string, settings map[string]string) error {
		t.Helper()
		p, err := embedded.StartPostgres(t.Context(), embedded.PostgresOptions{Dir: folder, Settings: settings})
		if err == nil {
			mustStop(t, p)
		}
		return err
	}

	_, err := embedded.FindServer(t.Context(), map[string]string{"POSTGRES_BIN": dir})
	add(err, "POSTGRES_BIN")
	_, err = embedded.FindServer(t.Context(), map[string]string{"POSTGRES_FETCH": "never"}, "/usr/lib/no-postgresql/*/bin")
	add(err, "POSTGRES_FETCH=never", "install")
	_, err = embedded.FindServer(t.Context(), map[string]string{"POSTGRES_FETCH": "off"}, "/usr/lib/no-postgresql/*/bin")
	add(err, "write never", "install")

	closed, open := filepath.Join(dir, "closed"), filepath.Join(dir, "open")
	for folder, mode := range map[string]os.FileMode{closed: 0o700, open: 0o777} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
	}
	add(embedded.CanEnter(closed), "cannot enter")
	add(embedded.MakePrivate(open), "can write to")

	data := filepath.Join(dir, "data")
	p := mustStart(t, embedded.PostgresOptions{Dir: data})
	add(start(data, nil), "in use by another process")
	other := filepath.Join(dir, "other")
	mustStop(t, mustStart(t, embedded.PostgresOptions{Dir: other}))
	pidFile := filepath.Join(other, "data", "postmaster.pid")
	if err := os.WriteFile(pidFile, fmt.Appendf(nil, "%d\n%s\n", p.PID(), other), 0o600); err != nil {
		t.Fatal(err)
	}
	err = start(other, nil)
	wantError(t, err, "names process", fmt.Sprint(p.PID()))
	add(fmt.Errorf("%s", strings.ReplaceAll(err.Error(), fmt.Sprint(p.PID()), "N")))
	for _, name := range []string{pidFile, filepath.Join(other, "password")} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	add(start(other, nil), "password")
	add(start(filepath.Join(dir, "refused"), map[string]string{"no_such_setting": "1"}), "its log:\n", "no_such_setting")

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = embedded.StartPostgres(ended, embedded.PostgresOptions{Dir: filepath.Join(dir, "ended")})
	add(err, "interrupted")
	_, err = embedded.StartPostgres(ended, embedded.PostgresOptions{Dir: data})
	wantError(t, err, "in use")
	mustStop(t, p)
	_, err = embedded.StartPostgres(ended, embedded.PostgresOptions{Dir: data})
	add(err, "interrupted")
}
