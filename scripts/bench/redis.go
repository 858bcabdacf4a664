package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/embedded"
)

// redisServer is a redis-server of ours, or, where that is not installed, miniredis in this process, which is the load
// generator's and not the server's.
type redisServer struct {
	addr    string
	version string
	client  *redis.Client // to look and meddle, past the server
	dir     string
	cmd     *exec.Cmd
	mini    *embedded.Redis
}

func startRedis(ctx context.Context, dir string) (*redisServer, error) {
	r := &redisServer{dir: dir}
	if _, err := exec.LookPath("redis-server"); err != nil {
		if r.mini, err = embedded.StartRedis(); err != nil {
			return nil, err
		}
		r.addr, r.version = strings.TrimPrefix(r.mini.URL(), "redis://"), "miniredis in the load generator's process"
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		r.addr = l.Addr().String()
		if err := errors.Join(l.Close(), r.launch()); err != nil {
			return nil, err
		}
	}
	r.client = redis.NewClient(&redis.Options{Addr: r.addr, Protocol: 2, DisableIdentity: true})
	if err := r.ready(ctx); err != nil || r.mini != nil {
		return r, err
	}
	info, err := r.client.InfoMap(ctx, "server").Result()
	r.version = info["Server"]["redis_version"]
	return r, err
}

func (r *redisServer) launch() error {
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return err
	}
	r.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir)
	r.cmd.SysProcAttr = dieWithParent()
	return r.cmd.Start()
}

// ready waits until the server answers.
func (r *redisServer) ready(ctx context.Context) error {
	for range 1000 {
		if r.client.Ping(ctx).Err() == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("redis at %s does not answer", r.addr)
}

func (r *redisServer) kill() error {
	if r.cmd == nil {
		return errors.New("redis-server is not installed; miniredis cannot be killed")
	}
	err := r.cmd.Process.Kill()
	_ = r.cmd.Wait() // says only that it was killed
	return err
}

func (r *redisServer) stop() {
	_ = r.client.Close()
	if r.mini != nil {
		r.mini.Stop()
	} else {
		_ = r.kill()
	}
}
