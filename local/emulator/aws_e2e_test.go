//go:build e2e

package emulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/emulator"
)

// pythonTool returns the path of a program in the virtual environment that scripts/python/install creates.
func pythonTool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../scripts/python/.venv/bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run scripts/python/install", err)
	}
	return path
}

// runTool returns the exit code and the output of a program.
func runTool(t *testing.T, program string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=us-east-1", "AWS_MAX_ATTEMPTS=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	aws := pythonTool(t, "aws")
	e := serve(t, emulator.Options{})
	for _, test := range []struct {
		name     string
		function string
		payload  string
		args     []string
		code     int
		said     []string // on stdout or stderr
		answer   string
	}{
		{"ok", "GoodFunction", `{"do":"nothing"}`, nil, 0, []string{`"StatusCode": 200`, `"ExecutedVersion": "$LATEST"`}, `{"pid":`},
		{"by ARN", "arn:aws:lambda:us-east-1:123456789012:function:GoodFunction", "{}", []string{"--qualifier", "live"}, 0, []string{`"StatusCode": 200`}, `{"pid":`},
		{"log", "GoodFunction", "{}", []string{"--log-type", "Tail", "--query", "LogResult"}, 0, []string{`"U1RBUlQgUmVxdWVzdElkOi`}, `{"pid":`},
		{"panic", "GoodFunction", `{"do":"panic"}`, nil, 0, []string{`"FunctionError": "Unhandled"`}, "as ordered"},
		{"exit", "GoodFunction", `{"do":"exit"}`, nil, 0, []string{`"FunctionError": "Unhandled"`}, "Runtime.ExitError"},
		{"timeout", "HastyFunction", `{"do":"hang"}`, nil, 0, []string{`"FunctionError": "Unhandled"`}, "Task timed out after 1.00 seconds"},
		{"event", "GoodFunction", "{}", []string{"--invocation-type", "Event"}, 0, []string{`"StatusCode": 202`}, ""},
		{"dry run", "GoodFunction", "{}", []string{"--invocation-type", "DryRun"}, 0, []string{`"StatusCode": 204`}, ""},
		{"unknown", "Missing", "{}", nil, 254, []string{"ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:Missing"}, ""},
		{"no JSON", "GoodFunction", "{", nil, 254, []string{"InvalidRequestContentException", "Could not parse request body into json"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			answer := filepath.Join(dir, "answer.json")
			args := append([]string{
				"lambda", "invoke", "--endpoint-url", e.url, "--function-name", test.function,
				"--payload", "fileb://" + writeFile(t, dir, "event.json", test.payload),
			}, append(test.args, answer)...)
			code, stdout, stderr := runTool(t, aws, args...)
			if code != test.code && !(code == 255 && test.code == 254) { // version 1 and 2 of the CLI
				t.Errorf("got exit code %d, want %d: %s%s", code, test.code, stdout, stderr)
			}
			wantText(t, stdout+stderr, test.said...)
			text, err := os.ReadFile(answer)
			if err != nil && test.code == 0 {
				t.Error(err)
			}
			wantText(t, string(text), test.answer)
		})
	}
	code, stdout, stderr := runTool(t, aws, "lambda", "list-functions", "--endpoint-url", e.url, "--query", "Functions[].FunctionName")
	if code != 0 {
		t.Error(stderr)
	}
	wantText(t, stdout, "GoodFunction", "HastyFunction")
}

// boto3Script prints the result of each of its calls as JSON.
const boto3Script = `
import base64, boto3, json, sys
from botocore.config import Config
from concurrent.futures import ThreadPoolExecutor

client = boto3.client("lambda", endpoint_url=sys.argv[1], config=Config(max_pool_connections=64, retries={"total_max_attempts": 1}))

def call(name, event, **more):
    try:
        r = client.invoke(FunctionName=name, Payload=json.dumps(event), **more)
    except client.exceptions.ResourceNotFoundException as e:
        return {"exception": "ResourceNotFoundException", "type": e.response["Type"], "text": e.response["Error"]["Message"]}
    except Exception as e:
        return {"exception": type(e).__name__, "text": str(e)}
    return {"status": r["StatusCode"], "error": r.get("FunctionError", ""), "payload": r["Payload"].read().decode(),
            "log": base64.b64decode(r.get("LogResult", "")).decode()}

context = base64.b64encode(json.dumps({"custom": {"color": "red"}}).encode()).decode()
out = {
    "ok": call("GoodFunction", {}, LogType="Tail"),
    "context": call("GoodFunction", {"do": "context"}, ClientContext=context),
    "panic": call("GoodFunction", {"do": "panic"}),
    "exit": call("GoodFunction", {"do": "exit"}),
    "timeout": call("HastyFunction", {"do": "hang"}),
    "unknown": call("Missing", {}),
    "event": call("GoodFunction", {}, InvocationType="Event"),
    "dry run": call("GoodFunction", {}, InvocationType="DryRun"),
    "large": call("GoodFunction", {"do": "x" * (6 << 20)}),
}
with ThreadPoolExecutor(64) as pool:
    out["parallel"] = list(pool.map(lambda _: call("GoodFunction", {"do": "wait", "url": sys.argv[2]}), range(64)))
print(json.dumps(out))
`

type boto3Reply struct {
	Status                                     int
	Error, Payload, Log, Exception, Text, Type string
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	m := meet(t, 64)
	go func() {
		<-m.arrived
		m.leave()
	}()
	code, stdout, stderr := runTool(t, pythonTool(t, "python"), "-c", boto3Script, e.url, m.url)
	if code != 0 {
		t.Fatal(stderr)
	}
	var parallel struct{ Parallel []boto3Reply }
	single := map[string]json.RawMessage{}
	if err := errors.Join(json.Unmarshal([]byte(stdout), &parallel), json.Unmarshal([]byte(stdout), &single)); err != nil {
		t.Fatal(err, stdout)
	}
	for name, want := range map[string][]string{
		"ok":      {`"status": 200`, `"error": ""`, "START RequestId: ", "REPORT RequestId: "},
		"context": {`\"custom\":\"red\"`},
		"panic":   {`"status": 200`, `"error": "Unhandled"`, "as ordered", "stackTrace"},
		"exit":    {`"error": "Unhandled"`, "Runtime exited with error: exit status 1"},
		"timeout": {`"error": "Unhandled"`, "Sandbox.Timedout"},
		"unknown": {"ResourceNotFoundException", `"type": "User"`, "Function not found: arn:aws:lambda:us-east-1:123456789012:function:Missing"},
		"event":   {`"status": 202`}, "dry run": {`"status": 204`},
		"large": {"RequestEntityTooLargeException", "Request must be smaller than 6291456 bytes"},
	} {
		wantText(t, name+string(single[name]), want...)
	}
	if n := len(parallel.Parallel); n != 64 {
		t.Errorf("got %d answers, want 64", n)
	}
	for _, r := range parallel.Parallel {
		if r.Status != 200 || r.Error != "" || !strings.Contains(r.Payload, "left") {
			t.Errorf("got %+v", r)
		}
	}
}
