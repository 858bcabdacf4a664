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
  Function: {Runtime: provided.al2023, Handler: bootstrap, Timeout: 900, Environment: {Variables: {TEST_FUNCTION: run}}}
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

// writeFile writes a file and returns its path.
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

// binaries returns a folder in which this test binary is the bootstrap of every function except one, whose file is not a program.
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

// running is an emulator behind a listener.
type running struct {
	*emulator.Emulator
	url    string
	output *output
}

// output is a buffer for concurrent use.
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

// serve starts an emulator, of real processes unless o says otherwise.
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
	e, err := emulator.New(emulator.Patient(o))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = e
	server.Config.WriteTimeout = 300 * time.Millisecond // the emulator removes this timeout, because polls and invocations last longer
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

// reply is a response of the Invoke API.
type reply struct {
	code   int
	header http.Header
	text   string
}

// json returns a field of the JSON object in the reply, "" if there is none.
func (r reply) json(field string) string {
	var fields map[string]any
	_ = json.Unmarshal([]byte(r.text), &fields) // the caller fails without the field
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

// do invokes GoodFunction with an order.
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
	end := time.After(2 * time.Minute) // a hang, not a slow machine
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited 2 minutes for %s", what)
		}
	}
}
