package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/embedded"
)

// helperVariable makes this test binary the process that a test starts. It runs
// a server in the directory that the variable names until its input ends. "-"
// means a temporary directory.
const helperVariable = "EMBEDDED_TEST_HELPER"

func TestMain(m *testing.M) {
	dir, ok := os.LookupEnv(helperVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if err := helperMain(strings.TrimPrefix(dir, "-")); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func helperMain(dir string) error {
	p, err := embedded.StartPostgres(context.Background(), embedded.PostgresOptions{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(p.PID())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return p.Stop()
}

type helper struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	said   string // its first line: a process id or an error
}

// startHelper waits for the helper's first line.
func startHelper(t *testing.T, dir string, env ...string) *helper {
	t.Helper()
	h := launchHelper(t, dir, env...)
	line, _ := bufio.NewReader(h.stdout).ReadString('\n')
	h.said = strings.TrimSpace(line)
	return h
}

func launchHelper(t *testing.T, dir string, env ...string) *helper {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, helperVariable+"="+dir)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &helper{cmd: cmd, stdin: stdin, stdout: stdout}
}

func (h *helper) serverPID(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(h.said)
	if err != nil {
		t.Fatalf("helper said %q, want a process id", h.said)
	}
	return pid
}

// kill is kill -9.
func (h *helper) kill(t *testing.T) {
	t.Helper()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait()
}

// finish lets the helper stop its server and end.
func (h *helper) finish(t *testing.T) {
	t.Helper()
	_ = h.stdin.Close()
	if err := h.cmd.Wait(); err != nil {
		t.Fatalf("helper: %v", err)
	}
}

// openDir makes a directory that the server's user can enter if root runs the
// tests. It cannot enter t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mustStart starts a server that stops at the test's end, unless the test has
// stopped it.
func mustStart(t *testing.T, o embedded.PostgresOptions) *embedded.Postgres {
	t.Helper()
	began := time.Now()
	p, err := embedded.StartPostgres(t.Context(), o)
	if err != nil {
		t.Fatalf("StartPostgres: %v", err)
	}
	t.Logf("StartPostgres: %v, fresh %t, version %s", time.Since(began).Round(time.Millisecond), p.Fresh(), p.Version())
	t.Cleanup(func() { mustStop(t, p) })
	return p
}

func mustStop(t *testing.T, p *embedded.Postgres) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if embedded.Running(p.PID()) {
		t.Errorf("Stop: process %d still runs", p.PID())
	}
}

func mustExec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// query runs one statement that returns one text.
func query(t *testing.T, url, sql string) (answer string, err error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(t.Context(), sql).Scan(&answer)
	return answer, err
}

func wantAnswer(t *testing.T, url, sql, want string) {
	t.Helper()
	got, err := query(t, url, sql)
	if err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", sql, got, err, want)
	}
}
