package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/childprocess"
	"github.com/osirose-new/database-service/shared/embedded"
)

// startTime is how long a server may take to start, on a busy machine.
const startTime = 15 * time.Second

// Redis is a redis-server that keeps nothing on disk. If redis-server is not installed, it is miniredis in this process,
// which cannot be killed.
type Redis struct {
	Addr   string        // host:port
	Client *redis.Client // connects directly, not through a proxy

	dir     string
	args    []string
	process *childprocess.Process
	mini    *embedded.Redis
}

// HaveRedis returns an error if redis-server is not installed.
func HaveRedis() error {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return errors.New("redis-server is not installed; miniredis, which would replace it, cannot be killed")
	}
	return nil
}

// NewRedis starts another Redis, which Close stops. args are added to the command line of redis-server.
func (b *Bed) NewRedis(ctx context.Context, args ...string) (*Redis, error) {
	r := &Redis{dir: b.Dir}
	if HaveRedis() != nil {
		mini, err := embedded.StartRedis()
		if err != nil {
			return nil, err
		}
		r.mini, r.Addr = mini, strings.TrimPrefix(mini.URL(), "redis://")
	} else {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		r.Addr = net.JoinHostPort(Loopback, port)
		r.args = append([]string{
			"--port", port, "--bind", Loopback, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
		}, args...)
	}
	r.Client = redis.NewClient(&redis.Options{Addr: r.Addr, Protocol: 2, DisableIdentity: true})
	b.redises = append(b.redises, r)
	if r.mini != nil {
		return r, nil
	}
	return r, r.Launch(ctx)
}

// Launch starts the server on its port and returns once it answers. After Kill it starts it again, empty.
func (r *Redis) Launch(ctx context.Context) (err error) {
	cmd := exec.Command("redis-server", r.args...)
	cmd.Dir = r.dir
	if r.process, err = childprocess.Start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for r.Client.Ping(ctx).Err() != nil {
		if r.process.Exited() {
			return fmt.Errorf("redis-server at %s ended: %w", r.Addr, r.process.Wait())
		}
		if !Pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("redis-server at %s does not answer: %w", r.Addr, ctx.Err())
		}
	}
	return nil
}

// Kill ends the server as a crash would.
func (r *Redis) Kill() error {
	if r.process == nil {
		return HaveRedis()
	}
	r.process.Kill()
	return nil
}

// Signal sends a signal to the server.
func (r *Redis) Signal(s syscall.Signal) error {
	if r.process == nil {
		return HaveRedis()
	}
	return r.process.Signal(s)
}

// PID is the id of the server's process.
func (r *Redis) PID() int { return r.process.PID() }

func (r *Redis) version(ctx context.Context) string {
	if r.mini != nil {
		return "miniredis in the load generator's process"
	}
	info, err := r.Client.InfoMap(ctx, "server").Result()
	if err != nil {
		return "unknown"
	}
	return info["Server"]["redis_version"]
}

// Close stops the server.
func (r *Redis) Close() {
	_ = r.Client.Close()
	switch {
	case r.mini != nil:
		r.mini.Stop()
	case r.process != nil:
		r.process.Kill()
	}
}
