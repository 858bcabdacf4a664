package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisServer is a redis-server of ours that keeps nothing on disk.
type redisServer struct {
	*child
	addr   string
	client *redis.Client // to look and meddle, past the proxies
	dir    string
	args   []string
}

func haveRedis() error {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return errors.New("redis-server is not installed, and nothing else can be killed as it can")
	}
	return nil
}

// startRedis starts a server on a port of its own; args are more of its command line.
func startRedis(ctx context.Context, dir string, args ...string) (*redisServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	r := &redisServer{addr: net.JoinHostPort(loopback, port), dir: dir, args: append([]string{
		"--port", port, "--bind", loopback, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
	}, args...)}
	r.client = redis.NewClient(&redis.Options{Addr: r.addr, Protocol: 2, DisableIdentity: true})
	return r, r.launch(ctx)
}

// launch starts the server, again after kill, on the same port and empty, and returns when it answers.
func (r *redisServer) launch(ctx context.Context) (err error) {
	cmd := exec.Command("redis-server", r.args...)
	cmd.Dir = r.dir
	if r.child, err = spawn(cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for r.client.Ping(ctx).Err() != nil {
		if r.gone() || !pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("redis-server at %s does not answer: %w", r.addr, errors.Join(r.err, ctx.Err()))
		}
	}
	return nil
}

func (r *redisServer) version(ctx context.Context) string {
	info, err := r.client.InfoMap(ctx, "server").Result()
	if err != nil {
		return "unknown"
	}
	return info["Server"]["redis_version"]
}

func (r *redisServer) close() {
	_ = r.client.Close()
	if r.child != nil {
		r.kill()
	}
}
