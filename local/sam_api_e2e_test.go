//go:build e2e

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// wantStartAPI calls a function through the HTTP API that sam local start-api serves.
func (w *eventWorld) wantStartAPI(t *testing.T, docker *dockerDaemon, options []string) {
	t.Helper()
	options = append(slices.Clone(options), "RequireIdentity=false") // a value of --parameter-overrides; its events have no identity
	url := startSAMAPI(t, docker, options) + "/twirp/osirose.database.v1.UserService/GetUserByUsername"
	const want = `"email":"alice@example.com"`
	var status int
	var answer string
	for range 5 { // on a busy machine a function may time out while it connects
		status, answer = postJSON(t, url, `{"username":"alice"}`)
		if status == http.StatusOK && strings.Contains(strings.ReplaceAll(answer, " ", ""), want) {
			return
		}
	}
	t.Errorf("sam local start-api: got %d %s, want 200 and %s", status, answer, want)
}

func postJSON(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body)) //nolint:noctx // the server ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// startSAMAPI runs sam local start-api and returns its URL.
func startSAMAPI(t *testing.T, docker *dockerDaemon, options []string) (url string) {
	t.Helper()
	port := fmt.Sprint(testenv.FreePort(t))
	cmd := exec.Command(pythonTool(t, "sam"), append([]string{"local", "start-api", "--port", port, "--no-watch"}, options...)...)
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Env = append(append(os.Environ(), samEnvironment()...), docker.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the test waits until it answers
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it removes its containers
		<-exited
		if t.Failed() {
			t.Logf("sam local start-api: %s", &log)
		}
	})
	url = "http://127.0.0.1:" + port
	eventually(t, "sam local start-api", func() bool {
		select {
		case <-exited:
			t.Fatalf("sam local start-api ended: %s", &log)
		default:
		}
		r, err := http.Get(url + "/") //nolint:noctx // the server ends with the test
		if err != nil {
			return false
		}
		return r.Body.Close() == nil
	})
	return url
}
