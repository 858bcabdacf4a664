package lambdahttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/lambdahttp"
)

const programEnv = "LAMBDAHTTP_TEST_PROGRAM"

// TestMain runs the tests, or one of the programs that they start.
func TestMain(m *testing.M) {
	switch os.Getenv(programEnv) {
	case "":
		os.Exit(m.Run())
	case "concurrency":
		fmt.Println(lambdahttp.MaxConcurrency())
	case "function":
		lambdahttp.Start(slog.New(slog.NewJSONHandler(os.Stderr, nil)), http.HandlerFunc(function), nil)
	case "task":
		lambdahttp.StartTask(task)
	}
}

func function(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/Panic") {
		panic("canary-4711")
	}
	deadline, ok := r.Context().Deadline()
	fmt.Fprint(w, os.Getpid(), " ", ok, " ", deadline.UnixMilli())
}

// task acts on the trace id, because it gets no other part of the event.
func task(ctx context.Context) error {
	switch ctx.Value("x-amzn-trace-id") {
	case "panic":
		panic("canary-4711")
	case "error":
		return errors.New("SELECT canary-4711")
	}
	deadline, _ := ctx.Deadline()
	if deadline.UnixMilli() != deadlineMS {
		return fmt.Errorf("deadline %d", deadline.UnixMilli())
	}
	return nil
}

var deadlineMS = time.Date(2126, 11, 22, 18, 45, 1, 0, time.UTC).UnixMilli()

// result is the result of an event that a process sent to the Runtime API.
type result struct {
	id, kind, body string // kind: response or error
}

// runtimeAPI is a server of the Runtime API for one process. Its address has a path, like the emulator's.
type runtimeAPI struct {
	events  chan event
	results chan result
}

type event struct{ payload, trace string }

func startProgram(t *testing.T, program string) *runtimeAPI {
	t.Helper()
	api := &runtimeAPI{make(chan event), make(chan result)}
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	stderr := &bytes.Buffer{}
	c := child(t, program, "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(s.URL, "http://")+"/some/path")
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the server closes
		_ = c.Process.Kill()
		_ = c.Wait()
		if strings.Contains(stderr.String(), "canary") {
			t.Errorf("the process logged %s, which contains data", stderr)
		}
	})
	return api
}

// ServeHTTP implements http.Handler.
func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const prefix = "/some/path/2018-06-01/runtime/invocation/"
	if r.URL.Path == prefix+"next" {
		select {
		case e := <-a.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", requestID)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(deadlineMS, 10))
			w.Header().Set("Lambda-Runtime-Trace-Id", e.trace)
			fmt.Fprint(w, e.payload)
		case <-r.Context().Done():
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.WriteHeader(http.StatusAccepted)
	select {
	case a.results <- result{strings.TrimPrefix(path.Dir(r.URL.Path), strings.TrimSuffix(prefix, "/")+"/"), path.Base(r.URL.Path), string(body)}:
	case <-r.Context().Done():
	}
}

func (a *runtimeAPI) run(t *testing.T, e event, kind string, parts ...string) result {
	t.Helper()
	a.events <- e
	got := <-a.results
	if got.id != requestID || got.kind != kind || strings.Contains(got.body, "canary") {
		t.Errorf("event %s ended with %+v, want %s of %s without data", e, got, kind, requestID)
	}
	for _, part := range parts {
		if !strings.Contains(got.body, part) {
			t.Errorf("event %s ended with %+v, want %s in it", e, got, part)
		}
	}
	return got
}

// TestStart runs a process as Lambda does.
func TestStart(t *testing.T) {
	t.Parallel()
	api := startProgram(t, "function")
	fine := event{payload: `{"version":"2.0","rawPath":"/twirp/s/Get"}`}
	was := api.run(t, fine, "response", `"statusCode":200`, fmt.Sprintf(` true %d"`, deadlineMS-200))
	api.run(t, event{payload: `{"version":"2.0","rawPath":"/twirp/s/Panic"}`}, "response", `"statusCode":500`, "internal", requestID)
	api.run(t, event{payload: `{"Records":["canary"]}`}, "error", "Records")
	api.run(t, event{payload: `{}`}, "response", `"statusCode":200`)
	if is := api.run(t, fine, "response"); is != was {
		t.Errorf("after a panic and an error the process answers %+v, want %+v of the same process", is, was)
	}
}

func TestStartTask(t *testing.T) {
	t.Parallel()
	api := startProgram(t, "task")
	api.run(t, event{`{"source":"aws.events"}`, ""}, "response", "null")
	api.run(t, event{`[1]`, ""}, "response", "null")
	api.run(t, event{`{}`, "error"}, "error", "*errors.errorString")
	api.run(t, event{`{}`, "panic"}, "error", "panic: string", "start_test.go:")
	api.run(t, event{`{}`, ""}, "response", "null")
}
