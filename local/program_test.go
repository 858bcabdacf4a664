package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/testenv"
)

// programVariable makes this test binary run as the program. So the program is built once, with the race detector if
// the tests have it.
const programVariable = "LOCAL_TEST_PROGRAM"

// realBudgets in a program's environment selects production's time limits instead of those of package testenv.
const realBudgets = programVariable + "=real budgets"

// openFiles in a program's environment is how many file descriptors it may open.
const openFiles = "LOCAL_TEST_OPEN_FILES"

func TestMain(m *testing.M) {
	if n, err := strconv.ParseUint(os.Getenv(openFiles), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	switch os.Getenv(programVariable) {
	case "":
		testenv.Main(m)
	case "real budgets":
		main()
	default:
		os.Exit(execute(testenv.Budgets()))
	}
}

// program is a running program.
type program struct {
	cmd            *exec.Cmd
	url            string
	stdout, stderr output
	exited         chan struct{}
}

// output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// launch runs the program. Its environment is only env, a free port, and the variables of the embedded servers. It has
// no admin address unless env sets one.
func launch(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	port := freePort(t)
	p := &program{cmd: exec.Command(os.Args[0], args...), url: "http://127.0.0.1:" + port, exited: make(chan struct{})}
	p.cmd.Env = []string{programVariable + "=1", "LISTEN_ADDR=127.0.0.1", "SERVICE_PORT=" + port, "ADMIN_ADDR=off"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "POSTGRES_BIN", "POSTGRES_FETCH", "XDG_CACHE_HOME"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+os.Getenv(name))
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // wantExit checks the exit code
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		testenv.WatchText(t, "the program's log", p.stderr.String())
		if t.Failed() {
			t.Logf("%q\nstdout: %s\nstderr: %s", p.cmd.Args[1:], &p.stdout, &p.stderr)
		}
	})
	return p
}

// start launches the program and waits for the last line of its greeting.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	began := time.Now()
	p := launch(t, env, args...)
	eventually(t, "the greeting", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("the program ended at its start: %v", p.cmd.ProcessState)
		default:
		}
		return strings.Contains(p.stdout.String(), "GetUserBySession\n")
	})
	t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	return p
}

// runToEnd runs the program and waits for its exit.
func runToEnd(t *testing.T, wantCode int, env []string, args ...string) *program {
	t.Helper()
	p := launch(t, env, args...)
	p.wantExit(t, wantCode)
	return p
}

func (p *program) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *program) wantExit(t *testing.T, want int) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(testenv.Patience):
		t.Fatalf("the program does not exit within %v", testenv.Patience)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%q: exit code %d, want %d", p.cmd.Args[1:], got, want)
	}
}

// post sends JSON to an rpc, for example "UserService/GetUser", and returns the status and the answer.
func (p *program) post(t *testing.T, rpc, body string) (int, map[string]any) {
	t.Helper()
	return request(t, http.MethodPost, p.url+"/twirp/osirose.database.v1."+rpc, body)
}

func (p *program) ready(t *testing.T) (int, map[string]any) {
	t.Helper()
	return request(t, http.MethodGet, p.url+"/readyz", "")
}

var curlLine = regexp.MustCompile(`curl -s -H 'Content-Type: application/json' -d '(\{.*\})' (http://\S+)`)

// try sends the request of the printed curl line.
func (p *program) try(t *testing.T) (int, map[string]any) {
	t.Helper()
	part := curlLine.FindStringSubmatch(p.stdout.String())
	if part == nil {
		t.Fatal("no curl line in the greeting")
	}
	return request(t, http.MethodPost, part[2], part[1])
}

func request(t *testing.T, method, url, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return 0, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: %v", url, err)
	}
	answer := map[string]any{}
	if json.Unmarshal(text, &answer) != nil {
		answer["text"] = string(text)
	}
	return response.StatusCode, answer
}

// at returns the field at a path of names, or nil.
func at(answer any, names ...string) any {
	for _, name := range names {
		m, _ := answer.(map[string]any)
		answer = m[name]
	}
	return answer
}

func freePort(t *testing.T) string { return strconv.Itoa(testenv.FreePort(t)) }

// openDir returns a directory that PostgreSQL's user can enter if root runs the tests. It cannot enter t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "local-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// processes returns the processes with dir in their command line, as an embedded PostgreSQL has. Linux only.
func processes(t *testing.T, dir string) (pids []int) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // fails for a bad pattern only
	for _, f := range files {
		line, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || !strings.Contains(string(line), dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(testenv.Patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %v for %s", testenv.Patience, what)
		}
	}
}

func wantText(t *testing.T, text fmt.Stringer, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text.String(), part) {
			t.Errorf("got %q, want %q in it", text, part)
		}
	}
}
