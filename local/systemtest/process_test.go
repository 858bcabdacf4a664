package systemtest_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/childprocess"
	"github.com/osirose-new/database-service/shared/faultproxy"
	"github.com/osirose-new/database-service/shared/testenv"
)

// realBudgets in the environment of a process gives it production's budgets.
const realBudgets = "LOCAL_TEST_PROGRAM=real budgets"

// processBinary is the test binary of package local, which is the program if LOCAL_TEST_PROGRAM is set. Its budgets are those
// of package testenv. It is built for the tests that run at the time, and removed after the last of them.
var processBinary struct {
	mu    sync.Mutex
	users int
	dir   string
}

// buildProcess returns the path of processBinary, which exists until the test ends.
func buildProcess(t testing.TB) string {
	t.Helper()
	b := &processBinary
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users == 0 {
		dir, err := os.MkdirTemp("", "systemtest-")
		if err != nil {
			t.Fatal(err)
		}
		b.dir = dir
	}
	b.users++
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.users--; b.users == 0 {
			_ = os.RemoveAll(b.dir)
		}
	})
	path := filepath.Join(b.dir, "database-service")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, "../../local").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return path
}

// process is a running program with its own proxies to PostgreSQL and Redis.
type process struct {
	*clients
	cmd             *exec.Cmd
	postgres, redis *faultproxy.Proxy
	stderr          strings.Builder
	exited          chan struct{}
	transport       *http.Transport
}

// startProcess starts a process on e's database and Redis, and waits until it serves.
func startProcess(t testing.TB, e *env, environment ...string) *process {
	t.Helper()
	path := buildProcess(t) // first, so that the file is removed after the process has ended
	p := &process{
		postgres: testenv.NewProxy(t, testenv.Postgres(t).Addr()), redis: testenv.NewProxy(t, e.Redis.Addr),
		exited: make(chan struct{}), transport: http.DefaultTransport.(*http.Transport).Clone(),
	}
	port := testenv.FreePort(t)
	p.cmd = exec.Command(path)
	childprocess.Attach(p.cmd, syscall.SIGKILL)
	p.cmd.Env = append([]string{
		"DATABASE_URL=" + strings.Replace(processDatabaseURL(t, e), e.PGProxy.Addr(), p.postgres.Addr(), 1),
		"REDIS_URL=redis://" + p.redis.Addr(), "LISTEN_ADDR=127.0.0.1", fmt.Sprint("SERVICE_PORT=", port), "ADMIN_ADDR=off",
		"LOCAL_TEST_PROGRAM=1", "BETTER_AUTH_SECRET=" + testenv.Secret, "LOG_LEVEL=warn", "LOG_FORMAT=json",
	}, environment...)
	p.cmd.Stderr = &p.stderr // read after the end only
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // tests read cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() { p.end(t) })
	p.connect(fmt.Sprintf("http://127.0.0.1:%d", port))
	eventually(t, "the process", p.serves)
	return p
}

// processDatabaseURL returns the URL that e's programs use.
func processDatabaseURL(t testing.TB, e *env) (url string) {
	e.Open(t, func(c *app.Options) { url = c.DatabaseURL })
	return url
}

func (p *process) connect(url string) {
	p.transport.MaxIdleConnsPerHost = 64
	client := &http.Client{Transport: p.transport}
	p.clients = &clients{
		users:      databasev1.NewUserServiceProtobufClient(url, client),
		sessions:   databasev1.NewSessionServiceProtobufClient(url, client),
		characters: databasev1.NewCharacterDbServiceProtobufClient(url, client),
		url:        url,
	}
}

func (p *process) serves() bool {
	r, err := http.Get(p.url + "/readyz")
	if err != nil {
		return false
	}
	_ = r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func (p *process) end(t testing.TB) {
	p.transport.CloseIdleConnections()
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Kill()
	<-p.exited
	if t.Failed() {
		t.Logf("stderr: %.4000s", p.stderr.String())
	}
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// freeze stops the process, and returns after it has stopped.
func (p *process) freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	eventually(t, "the process to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return err != nil || strings.HasPrefix(state, "T")
	})
}

func (p *process) resume(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}
