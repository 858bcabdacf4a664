package emulator_test

import (
	"encoding/base64"
	"net/http"
	"strings"
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
