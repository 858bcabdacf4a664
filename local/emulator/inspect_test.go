package emulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/osirose-new/database-service/local/emulator"
)

// status returns the status of a function.
func (e running) status(t *testing.T, id string) emulator.FunctionStatus {
	t.Helper()
	list := e.Inspect().Functions
	n := slices.IndexFunc(list, func(f emulator.FunctionStatus) bool { return f.ID == id })
	if n < 0 {
		t.Fatalf("Inspect: got no %s", id)
	}
	return list[n]
}

// wantStatus compares a status without its variables, errors and log lines.
func wantStatus(t *testing.T, want, got emulator.FunctionStatus) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(emulator.FunctionStatus{}, "Variables", "Errors", "Lines")); diff != "" {
		t.Error(diff)
	}
}

func TestInspectInProcess(t *testing.T) {
	t.Parallel()
	e := serveObeying(t)
	e.invoke(t, "BackFunction", "{}")
	for range 7 {
		e.invoke(t, "BackFunction", `"fail"`)
	}
	i := e.Inspect()
	if !strings.HasSuffix(i.Template, "template.yaml") || i.Gateway != emulator.HTTPAPI {
		t.Errorf("got %s, %s", i.Template, i.Gateway)
	}
	if diff := cmp.Diff([]emulator.Route{{Gateway: emulator.HTTPAPI, Method: "ANY", Path: "$default", Function: "FrontFunction"}}, i.Routes); diff != "" {
		t.Error(diff)
	}
	if len(i.Functions) != 2 || i.Functions[0].ID != "BackFunction" || i.Functions[1].ID != "FrontFunction" {
		t.Fatalf("got %v, want BackFunction and FrontFunction", i.Functions)
	}
	got := i.Functions[0]
	wantStatus(t, emulator.FunctionStatus{
		ID: "BackFunction", Name: "BackFunction", Timeout: 900 * time.Second, MemoryMB: 128,
		InProcess: true, Invocations: 8, Failed: 7, LinesElsewhere: true,
	}, got)
	if got.Lines != nil || len(got.Errors) != 5 {
		t.Fatalf("got the lines %q and %d errors, want none and the last 5", got.Lines, len(got.Errors))
	}
	for n, failure := range got.Errors {
		if failure.Number != int64(n+4) || failure.Kind != emulator.ErrorFailed || failure.Type != "errorString" || failure.Time.IsZero() ||
			failure.RequestID != e.invocation(t, failure.Number).RequestID {
			t.Errorf("got %+v, want the error of invocation %d", failure, n+4)
		}
		if m := failure.Message; len(m) < 498 || len(m) > 500 || !utf8.ValidString(m) || !strings.HasPrefix(m, "as ordered é") {
			t.Errorf("got %q (%d bytes), want the first 500 bytes without a broken character", m, len(m))
		}
	}
}

func TestInspectProcesses(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{MaxProcesses: 2, MaxQueue: 2})
	want := emulator.FunctionStatus{
		ID: "GoodFunction", Name: "GoodFunction", CodeURI: "functions/good", Timeout: 900 * time.Second, MemoryMB: 256,
		MaxProcesses: 2, MaxQueue: 2,
	}
	wantStatus(t, want, e.status(t, "GoodFunction"))

	m := meet(t, 2)
	replies := make(chan reply, 4)
	for range 2 {
		go func() { replies <- e.wait(t, m) }()
	}
	m.begun(t)
	for range 2 {
		go func() { replies <- e.do(t, "nothing") }()
	}
	eventually(t, "two invocations to wait", func() bool { return e.status(t, "GoodFunction").Waiting == 2 })
	wantAnswer(t, e.do(t, "nothing"), http.StatusTooManyRequests, "")
	want.Processes.Busy, want.Waiting, want.Running, want.Throttled = 2, 2, 4, 1
	wantStatus(t, want, e.status(t, "GoodFunction"))
	if i := e.invocation(t, 1); !i.Throttled || i.Failed {
		t.Errorf("got %+v, want it throttled and not failed", i)
	}
	if _, err := e.invocation(t, 1).HTTP(); err != emulator.ErrNotHTTP {
		t.Errorf("HTTP: got %v, want ErrNotHTTP", err)
	}

	m.leave()
	for range 4 {
		wantAnswer(t, <-replies, http.StatusOK, "")
	}
	want.Processes.Busy, want.Processes.Idle, want.Waiting, want.Running, want.Invocations = 0, 2, 0, 0, 4
	got := e.status(t, "GoodFunction")
	wantStatus(t, want, got)
	if len(got.Errors) != 1 || got.Errors[0].Kind != emulator.ErrorThrottled || got.Errors[0].Type != "TooManyRequestsException" {
		t.Errorf("got the errors %+v, want one throttled invocation", got.Errors)
	}

	go e.abandonStart()
	eventually(t, "a process that starts", func() bool { return e.status(t, "HangFunction").Processes.Starting == 1 })
}

// abandonStart invokes a function whose process never polls.
func (e running) abandonStart() {
	r, err := http.Post(e.url+"/2015-03-31/functions/HangFunction/invocations", "application/json", nil)
	if err == nil {
		r.Body.Close()
	}
}

func TestInspectErrors(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	for _, test := range []struct {
		function, do  string
		kind          emulator.ErrorKind
		name, message string
		timedOut      int64
	}{
		{"GoodFunction", "fail", emulator.ErrorFailed, "errorString", "as ordered", 0},
		{"HastyFunction", "hang", emulator.ErrorTimedOut, "Sandbox.Timedout", "Task timed out after 1.00 seconds", 1},
		{"ExitFunction", "", emulator.ErrorInit, "Runtime.ExitError", "exit status 3", 0},
		{"RefuseFunction", "", emulator.ErrorInit, "Function.NoSuchThing", "there is no such thing", 0},
		{"BrokenFunction", "", emulator.ErrorInit, "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s)", 0},
	} {
		t.Run(test.function, func(t *testing.T) {
			t.Parallel()
			id := e.invoke(t, test.function, `{"do":"`+test.do+`"}`).header.Get("X-Amzn-RequestId")
			got := e.status(t, test.function)
			if got.Invocations != 1 || got.Failed != 1 || got.TimedOut != test.timedOut || got.Running != 0 || len(got.Errors) != 1 {
				t.Fatalf("got %+v, want one failure", got)
			}
			failure := got.Errors[0]
			if failure.RequestID != id || failure.Kind != test.kind || failure.Type != test.name || !strings.Contains(failure.Message, test.message) {
				t.Errorf("got %+v, want %+v", failure, test)
			}
			i := e.invocation(t, failure.Number)
			if !i.Failed || i.TimedOut != (test.timedOut == 1) || i.Init != (test.kind == emulator.ErrorInit) {
				t.Errorf("got %+v", i)
			}
			if test.function == "ExitFunction" {
				wantText(t, strings.Join(got.Lines, "\n"), "nothing works here\nREPORT RequestId: "+id)
			}
		})
	}
}

const secretTemplate = `
Parameters:
  Size: {Type: Number, Default: 3}
  DatabaseUrl: {Type: String, Default: "postgres://hidden1"}
  Phrase: {Type: String, NoEcho: true, Default: hidden2}
  Colors: {Type: CommaDelimitedList, Default: "red,blue"}
  Vpc: {Type: "AWS::SSM::Parameter::Value<String>", Default: /vpc/id}
  Missing: {Type: String}
  SigningSecrets: {Type: String, Default: "1:hidden3"}
  EmptySecret: {Type: String, Default: ""}
  Given: {Type: String, Default: no}
Resources:
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: one
      ReservedConcurrentExecutions: 7
      Environment:
        Variables:
          DATABASE_URL: !Ref DatabaseUrl
          REDIS_URL: ""
          SIZE: !Ref Size
          HINT: !Sub "the phrase is ${Phrase}"
          MIRROR: https://user:hidden4@example.com/
          OPTIONS: host=h password=hidden5
          SECRETS: hidden6
          API_TOKEN: hidden7
          AwsAccessKeyId: hidden8
          DB_PASSWORD: hidden9
          HOME_PAGE: https://example.com/?page=1
          ENDPOINT: !GetAtt Nothing.Endpoint
          FROM_ENVIRONMENT: template
          URL_FROM_ENVIRONMENT: template
  Nothing: {Type: AWS::SNS::Topic}
`

func TestInspectRedacts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, dir, "template.yaml", secretTemplate)
	e := serve(t, emulator.Options{
		Template: file, Parameters: map[string]string{"Given": "yes"}, Handlers: map[string]emulator.Handler{"OneFunction": handler(obey)},
		Environ: []string{"FROM_ENVIRONMENT=emulator", "URL_FROM_ENVIRONMENT=redis://:hidden10@h/", "UNDECLARED=hidden11"},
	})
	i := e.Inspect()
	text, err := json.Marshal(i)
	if err != nil || strings.Contains(string(text), "hidden") {
		t.Errorf("got %s, %v; want no secret", text, err)
	}
	plain := func(name, value string) emulator.Value { return emulator.Value{Name: name, Value: value, Known: true} }
	secret := func(name string) emulator.Value {
		return emulator.Value{Name: name, Value: "(set)", Known: true, Secret: true}
	}
	parameters := []emulator.Value{
		plain("Size", "3"), secret("DatabaseUrl"), secret("Phrase"), plain("Colors", "red,blue"), {Name: "Vpc"}, {Name: "Missing"},
		secret("SigningSecrets"), plain("EmptySecret", ""), plain("Given", "yes"),
	}
	if diff := cmp.Diff(parameters, i.Parameters); diff != "" {
		t.Errorf("parameters: %s", diff)
	}
	variables := []emulator.Value{
		secret("API_TOKEN"), secret("AwsAccessKeyId"), secret("DATABASE_URL"), secret("DB_PASSWORD"), {Name: "ENDPOINT"},
		plain("FROM_ENVIRONMENT", "emulator"), secret("HINT"), plain("HOME_PAGE", "https://example.com/?page=1"), secret("MIRROR"),
		secret("OPTIONS"), plain("REDIS_URL", ""), secret("SECRETS"), plain("SIZE", "3"), secret("URL_FROM_ENVIRONMENT"),
	}
	if diff := cmp.Diff(variables, i.Functions[0].Variables); diff != "" {
		t.Errorf("variables: %s", diff)
	}
	if f := i.Functions[0]; f.Name != "one" || f.Reserved != 7 {
		t.Errorf("got %s, %d; want one, 7", f.Name, f.Reserved)
	}

	writeFile(t, dir, "template.yaml", strings.Replace(secretTemplate, "red,blue", "green", 1))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := e.Inspect().Parameters[3]; got != plain("Colors", "green") {
		t.Errorf("after a reload: got %+v, want green", got)
	}
}

// The lines of a process end with the newest, and their number and size are bounded.
func TestInspectLines(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	for range 10 {
		wantAnswer(t, e.do(t, "write"), http.StatusOK, "")
	}
	lines := e.status(t, "GoodFunction").Lines
	if size := len(strings.Join(lines, "")); size > 32<<10 || size < 27<<10 {
		t.Errorf("got %d bytes, want 32 KiB less at most a line", size)
	}
	wantText(t, lines[len(lines)-1], "REPORT RequestId: ")
	wantText(t, lines[len(lines)-2], "yyy to stderr")
	for range 210 {
		e.do(t, "nothing")
	}
	lines = e.status(t, "GoodFunction").Lines
	if size := len(strings.Join(lines, "")); len(lines) > 200 || size > 32<<10 {
		t.Errorf("got %d lines of %d bytes, want at most 200 of at most 32 KiB", len(lines), size)
	}
	if strings.Contains(fmt.Sprint(lines), "to stderr") {
		t.Error("got an old line, want it forgotten")
	}
}
