package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/faultproxy"
)

const (
	startTime = 15 * time.Second // until a server is ready, on a busy machine
	stopTime  = 10 * time.Second
	// callTime is far over the second that the service gives itself: what takes longer is the service's fault.
	callTime = 10 * time.Second
)

// program is the real one, built once.
type program struct{ dir, path string }

func build(ctx context.Context, overlay string) (*program, error) {
	dir, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return nil, err
	}
	p := &program{dir: dir, path: filepath.Join(dir, "local")}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay="+overlay, "-o", p.path, "github.com/osirose-new/database-service/local")
	if out, err := cmd.CombinedOutput(); err != nil {
		p.remove()
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return p, nil
}

func (p *program) remove() { _ = os.RemoveAll(p.dir) }

// process is a running server: the real program, behind a fault proxy of its own to each backend.
type process struct {
	*child
	url             string // http://127.0.0.1:port
	logFile         string // of its stderr
	postgres, redis *faultproxy.Proxy
	clients         // of one connection pool
}

// clients are the three services as a caller sees them, over connections that are kept.
type clients struct {
	http       *http.Client
	users      databasev1.UserService
	sessions   databasev1.SessionService
	characters databasev1.CharacterDbService
}

// newClients are clients for a server that others have, with connections of their own; any number of them.
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

// start starts a server on the world's PostgreSQL and Redis and returns when it is ready. env (NAME=value) adds to its
// environment, which has nothing else of ours, or wins over it. It logs warnings and worse; the world stops it.
func (w *world) start(ctx context.Context, env ...string) (*process, error) {
	p := &process{logFile: filepath.Join(w.dir, fmt.Sprintf("process%d.log", len(w.processes)))}
	var err1, err2 error
	p.postgres, err1 = faultproxy.New(w.pg.Addr())
	p.redis, err2 = faultproxy.New(w.redis.addr)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	w.processes = append(w.processes, p)
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p.url = "http://" + net.JoinHostPort(loopback, port)
	p.clients = newClients(p.url)
	return p, p.launch(ctx, w.program, append([]string{
		"DATABASE_URL=" + databaseURL(serviceLogin, p.postgres.Addr()), "REDIS_URL=redis://" + p.redis.Addr(),
		"LISTEN_ADDR=" + loopback, "SERVICE_PORT=" + port, "ADMIN_ADDR=off", "LOG_FORMAT=json", "LOG_LEVEL=warn",
	}, env...))
}

func (p *process) launch(ctx context.Context, program *program, env []string) error {
	log, err := os.Create(p.logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program.path)
	cmd.Env, cmd.Stderr = env, log // for a name that is twice there the last one counts
	if p.child, err = spawn(cmd); err != nil {
		return err
	}
	return p.ready(ctx)
}

// ready waits until /readyz says so.
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
		if p.gone() || !pause(ctx, 10*time.Millisecond) {
			text, _ := os.ReadFile(p.logFile)
			return fmt.Errorf("the server did not get ready: %w\n%s", errors.Join(err, p.err, ctx.Err()), text)
		}
	}
}

// close stops it and its proxies.
func (p *process) close() error {
	var err error
	if p.child != nil {
		err = p.stop(stopTime)
		p.http.CloseIdleConnections()
	}
	p.postgres.Close()
	p.redis.Close()
	return err
}

func databaseURL(login, addr string) string {
	u := url.URL{Scheme: "postgres", User: url.User(login), Host: addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// pause waits, and is false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
