package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/scripts/bench/internal/repository"
	"github.com/osirose-new/database-service/scripts/bench/internal/testbed"
	"github.com/osirose-new/database-service/shared/childprocess"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

const (
	startTime = 15 * time.Second // how long a server may take to start, on a busy machine
	stopTime  = 10 * time.Second
	// callTime is far over the one second that the service gives each request: a call that takes longer is the service's
	// fault.
	callTime = 10 * time.Second
)

// program is the service's program, built once.
type program struct{ dir, path string }

func build(ctx context.Context, overlay string) (*program, error) {
	root, err := repository.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return nil, err
	}
	p := &program{dir: dir, path: filepath.Join(dir, "local")}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay="+overlay, "-o", p.path, "./local")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		p.remove()
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return p, nil
}

func (p *program) remove() { _ = os.RemoveAll(p.dir) }

// process is a running server: the service's program, with a fault proxy between it and each backend.
type process struct {
	*childprocess.Process
	url             string // http://127.0.0.1:port
	logFile         string // its stderr
	postgres, redis *faultproxy.Proxy
	clients         // they share a connection pool
}

// clients call the three services over connections that are kept.
type clients struct {
	http       *http.Client
	users      databasev1.UserService
	sessions   databasev1.SessionService
	characters databasev1.CharacterDbService
}

// newClients returns clients with their own connections, any number of them.
func newClients(url string) clients {
	h := &http.Client{
		Timeout:   callTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1 << 12, DisableCompression: true},
	}
	return clients{
		http:       h,
		users:      databasev1.NewUserServiceProtobufClient(url, h),
		sessions:   databasev1.NewSessionServiceProtobufClient(url, h),
		characters: databasev1.NewCharacterDbServiceProtobufClient(url, h),
	}
}

// start starts a server on the world's PostgreSQL and Redis and returns once it is ready. env (NAME=value) adds to its
// environment, or overrides it; it inherits nothing from this process. It logs warnings and errors. world.close stops it.
func (w *world) start(ctx context.Context, env ...string) (*process, error) {
	return w.startProgram(ctx, w.program, env...)
}

// startProgram starts another program in the same way.
func (w *world) startProgram(ctx context.Context, of *program, env ...string) (*process, error) {
	p := &process{logFile: filepath.Join(w.Dir, fmt.Sprintf("process%d.log", len(w.processes)))}
	var err1, err2 error
	p.postgres, err1 = faultproxy.New(w.Postgres.Addr())
	p.redis, err2 = faultproxy.New(w.Redis.Addr)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	w.processes = append(w.processes, p)
	port, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	p.url = "http://" + net.JoinHostPort(testbed.Loopback, port)
	p.clients = newClients(p.url)
	return p, p.launch(ctx, of, append([]string{
		"DATABASE_URL=" + w.ServiceURL(p.postgres.Addr()), "REDIS_URL=redis://" + p.redis.Addr(),
		"LISTEN_ADDR=" + testbed.Loopback, "SERVICE_PORT=" + port, "ADMIN_ADDR=off", "LOG_FORMAT=json", "LOG_LEVEL=warn",
	}, env...))
}

func (p *process) launch(ctx context.Context, program *program, env []string) error {
	log, err := os.Create(p.logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program.path)
	cmd.Env, cmd.Stderr = env, log // of two values of one name the last one counts
	if p.Process, err = childprocess.Start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	return p.ready(ctx)
}

// ready waits for the success of /readyz.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		r, err := p.http.Get(p.url + "/readyz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !p.Exited() && testbed.Pause(ctx, 10*time.Millisecond) {
			continue
		}
		if p.Exited() {
			err = errors.Join(err, p.Wait())
		}
		text, _ := os.ReadFile(p.logFile)
		return fmt.Errorf("the server did not get ready: %w\n%s", errors.Join(err, ctx.Err()), text)
	}
}

// close stops the server and its proxies.
func (p *process) close() error {
	var err error
	switch {
	case p.Process == nil:
	case p.Exited():
		err = p.Wait()
	default:
		err = p.Stop(stopTime)
	}
	if p.http != nil {
		p.http.CloseIdleConnections()
	}
	p.postgres.Close()
	p.redis.Close()
	return err
}
