package emulator_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	for _, test := range []struct {
		name, function, do string
		fails              bool
		want               []string
	}{
		{"ok", "GoodFunction", "nothing", false, []string{`{"pid":`}},
		{"error", "GoodFunction", "fail", true, []string{`"errorMessage":"as ordered"`, `"errorType":"errorString"`}},
		{"panic", "GoodFunction", "panic", true, []string{`"errorMessage":"as ordered"`, `"errorType":"string"`, `"stackTrace":[{`, "carryOut"}},
		{"exit", "GoodFunction", "exit", true, []string{`"errorType":"Runtime.ExitError"`, " Error: Runtime exited with error: exit status 1"}},
		{"exit with 0", "GoodFunction", "leave", true, []string{`"errorType":"Runtime.ExitError"`, " Error: Runtime exited without providing a reason"}},
		{"too large an answer", "GoodFunction", "huge", true, []string{`"errorType":"Function.ResponseSizeTooLarge"`, "exceeded maximum allowed payload size (6291556 bytes)"}},
		{"timeout", "HastyFunction", "hang", true, []string{`"errorType":"Sandbox.Timedout"`, " Error: Task timed out after 1.00 seconds"}},
		{"exit at the start", "ExitFunction", "", true, []string{`"errorType":"Runtime.ExitError"`, "exit status 3"}},
		{"error at the start", "RefuseFunction", "", true, []string{`"errorType":"Function.NoSuchThing"`}},
		{"no program", "BrokenFunction", "", true, []string{`"errorType":"Runtime.InvalidEntrypoint"`, "Couldn't find valid bootstrap(s)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantProcess(t, e, test.function, test.do, test.fails, test.want...)
		})
	}
	t.Run("never polls", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{InitTimeout: time.Second})
		eventually(t, "a process that starts within InitTimeout", func() bool {
			return e.do(t, "nothing").header.Get("X-Amz-Function-Error") == ""
		})
		wantProcess(t, e, "HangFunction", "", true, `"errorType":"Sandbox.Timedout"`, "after 1.00 seconds")
	})
}

// wantProcess invokes a function and checks the reply, its log, and that the next caller is served.
func wantProcess(t *testing.T, e running, function, do string, fails bool, want ...string) {
	t.Helper()
	r := e.invoke(t, function, `{"do":"`+do+`"}`, "X-Amz-Log-Type", "Tail")
	functionError := ""
	if fails {
		functionError = "Unhandled"
	}
	wantAnswer(t, r, http.StatusOK, functionError)
	wantText(t, r.text, want...)
	if id := r.header.Get("X-Amzn-RequestId"); strings.Contains(r.text, " Error: ") && !strings.Contains(r.text, "RequestId: "+id+" Error: ") {
		t.Errorf("got %s, want the id %s in it", r.text, id)
	}
	wantLog(t, r)
	wantAnswer(t, e.do(t, "nothing"), http.StatusOK, "")
}

// wantLog checks Lambda's own lines, and returns the log.
func wantLog(t *testing.T, r reply) string {
	t.Helper()
	log, err := base64.StdEncoding.DecodeString(r.header.Get("X-Amz-Log-Result"))
	if err != nil || len(log) > 4<<10 {
		t.Errorf("X-Amz-Log-Result: %v, %d bytes", err, len(log))
	}
	id := r.header.Get("X-Amzn-RequestId")
	wantText(t, string(log), "END RequestId: "+id+"\n", "REPORT RequestId: "+id+"\tDuration: ", " ms\tBilled Duration: ", "\tMemory Size: ")
	return string(log)
}

func TestLog(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	log := wantLog(t, e.do(t, "nothing", "X-Amz-Log-Type", "Tail"))
	wantText(t, log, "START RequestId: ", " Version: $LATEST\n", "Memory Size: 256 MB\tMax Memory Used: ", "Init Duration: ")
	log = wantLog(t, e.do(t, "exit", "X-Amz-Log-Type", "Tail"))
	wantText(t, log, "Status: error")
	log = wantLog(t, e.invoke(t, "ExitFunction", "{}", "X-Amz-Log-Type", "Tail"))
	wantText(t, log, "\nnothing works here\n")
	log = wantLog(t, e.do(t, "write", "X-Amz-Log-Type", "Tail"))
	wantText(t, log, "yyy to stderr\n")
	if strings.Contains(log, "to stdout") {
		t.Errorf("got %q, want only its end", log)
	}
	log = wantLog(t, e.do(t, "nothing", "X-Amz-Log-Type", "Tail"))
	if strings.Contains(log, "to stderr") || strings.Contains(log, "Init Duration") {
		t.Errorf("got %q, want no output of the previous invocation", log)
	}
	log = wantLog(t, e.invoke(t, "HastyFunction", `{"do":"hang"}`, "X-Amz-Log-Type", "Tail"))
	wantText(t, log, " Task timed out after 1.00 seconds\n", "Status: timeout")
	wantText(t, e.output.String(), "GoodFunction | to stdout\n", "ExitFunction | nothing works here\n", "HastyFunction | REPORT RequestId: ")
	if r := e.do(t, "write"); r.header.Get("X-Amz-Log-Result") != "" {
		t.Error("got a log without asking for one")
	}
}

// meeting is a server that answers its callers only after leave.
type meeting struct {
	url     string
	arrived chan struct{} // closed when the expected number of callers has arrived
	leave   func()
	pids    func() []int // of the callers
}

func meet(t *testing.T, count int) meeting {
	t.Helper()
	var mu sync.Mutex
	var pids []int
	arrived, left := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pid, _ := strconv.Atoi(r.URL.RawQuery) // 0 if the caller sends none
		mu.Lock()
		pids = append(pids, pid)
		if count--; count == 0 {
			close(arrived)
		}
		mu.Unlock()
		<-left
		_, _ = w.Write([]byte("left"))
	}))
	m := meeting{server.URL, arrived, sync.OnceFunc(func() { close(left) }), func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(pids)
	}}
	t.Cleanup(func() {
		m.leave()
		server.Close()
	})
	return m
}

// wait makes a function call the meeting.
func (e running) wait(t *testing.T, m meeting, headers ...string) reply {
	t.Helper()
	return e.invoke(t, "GoodFunction", `{"do":"wait","url":"`+m.url+`"}`, headers...)
}

// abandon is wait without the response.
func (e running) abandon(m meeting) {
	body := strings.NewReader(`{"do":"wait","url":"` + m.url + `"}`)
	r, err := http.Post(e.url+"/2015-03-31/functions/GoodFunction/invocations", "application/json", body)
	if err == nil {
		r.Body.Close()
	}
}

func (m meeting) begun(t *testing.T) {
	t.Helper()
	select {
	case <-m.arrived:
	case <-time.After(2 * time.Minute): // a hang, not a slow machine
		t.Fatal("the callers did not arrive within 2 minutes")
	}
}

func TestPool(t *testing.T) {
	t.Parallel()
	t.Run("one after the other in one process", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		first := e.do(t, "nothing").json("pid")
		for range 20 {
			if r := e.do(t, "nothing"); first == "" || r.json("pid") != first {
				t.Fatalf("got process %s, want %s", r.text, first)
			}
		}
		wantAnswer(t, e.do(t, "panic"), http.StatusOK, "Unhandled")
		if r := e.do(t, "nothing"); r.json("pid") == first || r.json("pid") == "" {
			t.Errorf("got %s, want a new process after one that ended", r.text)
		}
	})
	t.Run("a free process ends", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		pid, err := strconv.Atoi(e.do(t, "nothing").json("pid"))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the process to end", func() bool { return strings.Contains(e.output.String(), "process ended") })
		wantAnswer(t, e.do(t, "nothing"), http.StatusOK, "")
	})
	t.Run("64 at once", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		m := meet(t, 64)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if r := e.wait(t, m); r.code != http.StatusOK || r.text != `"left"` {
					t.Errorf("got %d %s", r.code, r.text)
				}
			})
		}
		m.begun(t)
		m.leave()
		all.Wait()
		pids := m.pids()
		slices.Sort(pids)
		if n := len(slices.Compact(pids)); n != 64 {
			t.Errorf("got %d processes, want 64", n)
		}
	})
	t.Run("more than the limits", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{MaxProcesses: 2, MaxQueue: 2})
		m := meet(t, 2)
		replies := make(chan reply, 5)
		for range 2 {
			go func() { replies <- e.wait(t, m) }()
		}
		m.begun(t)
		for range 3 { // MaxQueue is 2
			go func() { replies <- e.do(t, "nothing") }()
		}
		r := <-replies
		wantAnswer(t, r, http.StatusTooManyRequests, "")
		wantText(t, r.text, `"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"`, `"Type":"User"`, "Rate Exceeded.")
		if kind := r.header.Get("X-Amzn-ErrorType"); kind != "TooManyRequestsException" {
			t.Errorf("got %q", kind)
		}
		m.leave()
		for range 4 {
			wantAnswer(t, <-replies, http.StatusOK, "")
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{Environ: []string{
		"SIZE=large", "SHAPE=round", "SECRET=hidden", "PATH=/bin", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_STS=http://sts",
	}})
	got := e.do(t, "environment").text
	wantText(t, got, `"COLOR=blue"`, `"SIZE=large"`, `"SHAPE=round"`, `"PATH=/bin"`, `"AWS_REGION=eu-west-1"`, `"AWS_ENDPOINT_URL_STS=http://sts"`,
		`"AWS_LAMBDA_FUNCTION_NAME=GoodFunction"`, `"AWS_LAMBDA_FUNCTION_VERSION=$LATEST"`, `"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256"`,
		`"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/GoodFunction"`, `"AWS_LAMBDA_LOG_STREAM_NAME=`, `"_HANDLER=bootstrap"`, `"LAMBDA_TASK_ROOT=`,
		`"AWS_ACCESS_KEY_ID=`, `"AWS_SECRET_ACCESS_KEY=`)
	if strings.Contains(got, "SECRET=hidden") || strings.Contains(got, "GOCACHE") {
		t.Errorf("got %s, want only variables that the template names", got)
	}
	if got := serve(t, emulator.Options{Environ: []string{}}).do(t, "environment").text; strings.Contains(got, "SHAPE") {
		t.Errorf("got %s, want no variable without a known value", got)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	custom := base64.StdEncoding.EncodeToString([]byte(`{"custom":{"color":"red"}}`))
	r := e.do(t, "context", "X-Amz-Client-Context", custom)
	for field, want := range map[string]string{
		"requestID": r.header.Get("X-Amzn-RequestId"), "custom": "red", "name": "GoodFunction", "memory": "256",
		"arn": "arn:aws:lambda:us-east-1:123456789012:function:GoodFunction",
	} {
		if got := r.json(field); got != want || want == "" {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	left, err := time.ParseDuration(r.json("left"))
	if err != nil || left <= 0 || left > 900*time.Second {
		t.Errorf("got %q until the deadline, want up to 900 s", r.json("left"))
	}
	wantText(t, r.json("trace"), "Root=1-", ";Parent=", ";Sampled=0")
}

func TestClose(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	m := meet(t, 2)
	busy := make(chan reply, 2)
	idle, err := strconv.Atoi(e.do(t, "nothing").json("pid"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		go func() { busy <- e.wait(t, m) }()
	}
	m.begun(t)
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, pid := range append(m.pids(), idle) {
		if err := syscall.Kill(pid, 0); pid == 0 || err != syscall.ESRCH {
			t.Errorf("process %d is there after Close: %v", pid, err)
		}
	}
	for range 2 {
		r := <-busy
		wantAnswer(t, r, http.StatusOK, "Unhandled")
		wantText(t, r.text, "Runtime.ExitError")
	}
	r := e.do(t, "nothing")
	wantAnswer(t, r, http.StatusOK, "Unhandled")
	wantText(t, r.text, "the emulator is closed")
}
