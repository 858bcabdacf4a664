package emulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator"
)

const testTemplate = `
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: provided.al2023, Handler: bootstrap, Timeout: 30, Environment: {Variables: {TEST_FUNCTION: run}}}
Resources:
  GoodFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/good/
      MemorySize: 256
      Environment: {Variables: {COLOR: blue, SHAPE: !GetAtt Nothing.Shape, SIZE: small}}
      Events: {All: {Type: HttpApi, Properties: {Path: "/{proxy+}", Method: ANY}}}
  HastyFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/hasty/, Timeout: 1}
  ExitFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/exit/, Environment: {Variables: {TEST_FUNCTION: exit}}}
  HangFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/hang/, Environment: {Variables: {TEST_FUNCTION: hang}}}
  RefuseFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/refuse/, Environment: {Variables: {TEST_FUNCTION: refuse}}}
  BrokenFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/broken/}
  Nothing: {Type: AWS::SNS::Topic}
`

// writeFile returns the path of a new file.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// binaries is a folder with this test binary as the bootstrap of every function; one of them is no program.
func binaries(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"good", "hasty", "exit", "hang", "refuse"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, filepath.Join(dir, name, "bootstrap")); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, dir, "broken/bootstrap", "no program")
	return dir
}

// running is an emulator with a listener.
type running struct {
	*emulator.Emulator
	url    string
	output *output
}

// output may be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serve starts an emulator of processes, unless o says how else functions run.
func serve(t *testing.T, o emulator.Options) running {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	o.Address = server.Listener.Addr().String()
	if o.Template == "" {
		o.Template = writeFile(t, t.TempDir(), "template.yaml", testTemplate)
	}
	if o.Binaries == "" && o.Handlers == nil && !o.Build {
		o.Binaries = binaries(t)
	}
	out := &output{}
	o.Output, o.Log = out, slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = e
	server.Config.WriteTimeout = 300 * time.Millisecond // which the emulator lifts: polls and invocations last longer
	server.Start()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		server.Close()
		if t.Failed() {
			t.Log(out)
		}
	})
	return running{e, server.URL, out}
}

// reply is an answer of the Invoke API.
type reply struct {
	code   int
	header http.Header
	text   string
}

// json returns the field of a reply that is an object, "" where there is none.
func (r reply) json(field string) string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(r.text), &fields) // a reply without the field fails the test
	if v, ok := fields[field]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// invoke calls a function with headers given as name, value.
func (e running) invoke(t *testing.T, name, payload string, headers ...string) reply {
	t.Helper()
	return e.request(t, http.MethodPost, "/2015-03-31/functions/"+name+"/invocations", payload, headers...)
}

func (e running) request(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.url+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return reply{}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return reply{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

// do orders the function that does as it is told.
func (e running) do(t *testing.T, what string, headers ...string) reply {
	t.Helper()
	return e.invoke(t, "GoodFunction", `{"do":"`+what+`"}`, headers...)
}

func wantAnswer(t *testing.T, got reply, code int, functionError string) {
	t.Helper()
	if got.code != code || got.header.Get("X-Amz-Function-Error") != functionError {
		t.Errorf("got %d, function error %q: %.300s; want %d, %q", got.code, got.header.Get("X-Amz-Function-Error"), got.text, code, functionError)
	}
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got %.2000q, want %q in it", text, part)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited 60 s for %s", what)
		}
	}
}
