package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/osirose-new/database-service/shared/childprocess"
)

// startPatience is the time limit of a start on a busy machine.
const startPatience = 30 * time.Second

// runtimeAPI is the part of Lambda's Runtime API that a function uses before its first event: the poll, which never
// returns here.
type runtimeAPI struct {
	listener net.Listener
	server   *http.Server
	polls    chan time.Time
}

func newRuntimeAPI() (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &runtimeAPI{listener: l, polls: make(chan time.Time, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(_ http.ResponseWriter, r *http.Request) {
		a.polls <- time.Now()
		<-r.Context().Done()
	})
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: startPatience}
	go a.server.Serve(l) // it ends with close
	return a, nil
}

func (a *runtimeAPI) close() { _ = a.server.Close() }

// start is one cold start.
type start struct {
	wall, cpu time.Duration
}

// start runs a function until it polls for its first event.
func (a *runtimeAPI) start(ctx context.Context, b *binary) (start, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	cmd := exec.Command(b.path)
	cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + a.listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=" + b.name, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x",
		"AWS_SESSION_TOKEN=x", "PATH=" + os.Getenv("PATH"), "TZ=:UTC", "LANG=en_US.UTF-8",
	}, b.env...)
	var stderr strings.Builder
	cmd.Stderr, cmd.Stdout = &stderr, io.Discard
	childprocess.Attach(cmd, syscall.SIGKILL)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return start{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var s start
	select {
	case polled := <-a.polls:
		s.wall = polled.Sub(began)
		_ = cmd.Process.Kill()
		<-ended
	case err := <-ended:
		return s, fmt.Errorf("it ended before its first poll: %w\n%s", err, stderr.String())
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-ended
		return s, ctx.Err()
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if stderr.Len() > 0 {
		return s, errors.New("it logged at its start:\n" + stderr.String())
	}
	return s, nil
}
