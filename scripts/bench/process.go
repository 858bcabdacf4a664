package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/childprocess"
)

// process is a running server as the load generator sees it.
type process struct {
	urls        map[string]string
	connections int          // of the load
	client      *http.Client // for loads
	server      *childprocess.Process
	stdin       io.Closer
	log         *os.File
}

// addresses of a server's backends. An empty one means the world's backend.
type addresses struct{ postgres, redis string }

func (a addresses) environ(w *world) []string {
	return append(os.Environ(), "DATABASE_URL="+w.ServiceURL(cmp.Or(a.postgres, w.Postgres.Addr())),
		"BENCH_PLAIN_DATABASE_URL="+w.SuperuserURL()+"&pool_max_conns=16",
		"REDIS_URL=redis://"+cmp.Or(a.redis, w.Redis.Addr), "LOG_LEVEL=info", "LOG_FORMAT=json", "CACHE_TTL=1h")
}

// startServer starts this program again as a server.
func startServer(w *world, a addresses, connections int, env ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{connections: connections, client: newHTTPClient(connections), urls: map[string]string{}}
	if p.log, err = os.CreateTemp(w.Dir, "server-*.log"); err != nil {
		return nil, err
	}
	cmd := exec.Command(self, serverMode)
	cmd.Env = append(a.environ(w), env...)
	cmd.Stderr = p.log
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Not StdoutPipe, whose end Wait closes: the server may end before its addresses are read.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	cmd.Stdout = write
	p.server, err = childprocess.Start(cmd, syscall.SIGKILL)
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	if err := json.NewDecoder(read).Decode(&p.urls); err != nil {
		text, _ := os.ReadFile(p.log.Name())
		return nil, fmt.Errorf("the server did not start: %w\n%s", err, text)
	}
	return p, nil
}

func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.server.Wait() // it ends with its stdin
	_ = p.log.Close()
}

func (p *process) users(listener string) databasev1.UserService {
	return databasev1.NewUserServiceProtobufClient(p.urls[listener], p.client)
}

func (p *process) jsonUsers(listener string) databasev1.UserService {
	return databasev1.NewUserServiceJSONClient(p.urls[listener], p.client)
}

func (p *process) sessions(listener string) databasev1.SessionService {
	return databasev1.NewSessionServiceProtobufClient(p.urls[listener], p.client)
}

func (p *process) characters(listener string) databasev1.CharacterDbService {
	return databasev1.NewCharacterDbServiceProtobufClient(p.urls[listener], p.client)
}

// get reads from the control listener.
func (p *process) get(ctx context.Context, path string, to func(io.Reader) error) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.urls[control]+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return to(resp.Body)
}

func (p *process) usage(ctx context.Context) (u usage, err error) {
	err = p.get(ctx, "/usage", func(r io.Reader) error { return json.NewDecoder(r).Decode(&u) })
	return u, err
}
