//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestBuiltFunctions runs functions that scripts/build has built, as for a deployment, in this project's emulator and in AWS's. They
// are built once: that takes longer than most of these tests.
func TestBuiltFunctions(t *testing.T) {
	t.Parallel()
	dir := buildFunctions(t, "..")
	t.Run("same answers as direct", func(t *testing.T) {
		t.Parallel()
		wantFunctionsAsDirect(t, dir)
	})
	t.Run("AWS's Runtime Interface Emulator", func(t *testing.T) {
		t.Parallel()
		wantRIE(t, dir)
	})
	t.Run("metrics", func(t *testing.T) {
		t.Parallel()
		e := testenv.New(t, "plugins", "miniredis", testenv.AlsoPurge)
		user := e.AddUser(t, "Alice")
		for what, settings := range map[string][]string{"environment": {"EMBEDDED_METRICS=true"}, "parameter": nil} {
			args := []string{"-functions", dir}
			if settings == nil {
				args = append(args, "-parameter", "EmbeddedMetrics=true", "-parameter", "Stage=test")
			}
			p := startEmulator(t, append(outside(e), settings...), args...)
			p.wantMetrics(t, &p.stdout, user)
			if stage := `"Stage":"test"`; what == "parameter" && !strings.Contains(p.stdout.String()+p.stderr.String(), stage) {
				t.Errorf("the template's stage is not in the metrics: want %s", stage)
			}
		}
	})
	t.Run("login from LocalStack", func(t *testing.T) {
		t.Parallel()
		wantLocalStackLogin(t, dir)
	})
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		wantWatch(t)
	})
	for name, args := range map[string][]string{"in process": nil, "real binaries": {"-functions", dir}} {
		t.Run("AWS's clients, "+name, func(t *testing.T) {
			t.Parallel()
			wantSDKs(t, args)
		})
	}
}

func wantFunctionsAsDirect(t *testing.T, dir string) {
	for _, redis := range testenv.RedisKinds() {
		t.Run(redis, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t, "plugins", redis, testenv.AlsoPurge)
			direct := start(t, outside(e))
			p := startEmulator(t, outside(e), "-functions", dir, "-parameter", "RequireIdentity=false") // load balancers send none
			wantSameAnswers(t, addPlayer(t, e, "Alice"), direct.url, p.url)
			children := processes(t, dir)
			if len(children) == 0 {
				t.Error("no function runs as a process")
			}
			p.signal(t, syscall.SIGTERM)
			p.wantExit(t, 0)
		})
	}
}

// wantLocalStackLogin checks that the program and the functions read the database's login from LocalStack's Secrets Manager,
// as functions/README.md shows.
func wantLocalStackLogin(t *testing.T, dir string) {
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoPurge)
	user := e.AddUser(t, "Alice")
	env := []string{"REDIS_URL=" + e.Program.Config.RedisURL}
	databaseURL := strings.Replace(e.Program.Config.DatabaseURL, "@", ":unused@", 1) // a secret has a password
	for name, value := range testenv.StartLocalStack(t, "..", databaseURL) {
		env = append(env, name+"="+value)
	}
	for what, p := range map[string]*program{"program": start(t, env), "functions": startEmulator(t, env, "-functions", dir)} {
		var code int
		var answer map[string]any
		for range 5 { // on a busy machine a function may time out while it connects
			if code, answer = p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code == http.StatusOK {
				break
			}
		}
		if at(answer, "user", "id") != user {
			t.Errorf("%s: got %d %v", what, code, answer)
		}
	}
}

// wantWatch checks that -watch builds the real functions. Most packages are in the build cache.
func wantWatch(t *testing.T) {
	e := testenv.New(t, "plugins", "miniredis", testenv.AlsoPurge)
	user := e.AddUser(t, "Alice")
	p := startEmulator(t, outside(e), "-watch")
	if code, answer := p.post(t, "UserService/GetUser", `{"user_id":"`+user+`"}`); code != http.StatusOK || at(answer, "user", "id") != user {
		t.Errorf("got %d %v", code, answer)
	}
	wantText(t, &p.stdout, "built from here")
}

// sdkScript calls each function 64 times at once with its event.
const sdkScript = `
import boto3, json, sys
from botocore.config import Config
from concurrent.futures import ThreadPoolExecutor

client = boto3.client("lambda", endpoint_url=sys.argv[1], config=Config(max_pool_connections=64, retries={"total_max_attempts": 1}))

def call(name, event):
    r = client.invoke(FunctionName=name, Payload=event)
    return {"Error": r.get("FunctionError", ""), "Payload": r["Payload"].read().decode()}

events = {name: open(path, "rb").read() for name, path in (a.split("=") for a in sys.argv[2:])}
with ThreadPoolExecutor(64) as pool:
    print(json.dumps({name: list(pool.map(lambda _: call(name, event), range(64))) for name, event in events.items()}))
`

// wantSDKs calls each function with AWS's own clients and with the events of a gateway.
func wantSDKs(t *testing.T, args []string) {
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0], testenv.AlsoPurge)
	dir := filepath.Join(t.TempDir(), "events")
	p := startEmulator(t, outside(e), append(args, "-save", dir)...)
	events := p.saveEvents(t, addPlayer(t, e, "Alice"), dir)
	for function, file := range events {
		p.wantCLI(t, function, file)
	}
	p.wantSDK(t, events)
}

// saveEvents returns a file with an event for each function, by the function's name.
func (p *program) saveEvents(t *testing.T, who player, dir string) map[string]string {
	t.Helper()
	events := map[string]string{"PurgeFunction": filepath.Join(t.TempDir(), "schedule.json")}
	if err := os.WriteFile(events["PurgeFunction"], []byte(`{"source":"aws.events","detail-type":"Scheduled Event"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c := clientsOf(p.url)["protobuf"]
	if _, err := c.characters.CreateCharacter(t.Context(), who.create()); err != nil {
		t.Fatal(err)
	}
	for rpc, function := range map[string]string{"GetUser": "UserFunction", "GetCharacterList": "CharacterFunction", "GetSession": "SessionFunction"} {
		if _, err := who.calls()[rpc](t.Context(), c); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*-"+function+"-"+rpc+".json"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: got %v, %v, want one saved event", rpc, files, err)
		}
		events[function] = files[0]
	}
	return events
}

// wantCLI invokes a function with the AWS CLI.
func (p *program) wantCLI(t *testing.T, function, event string) {
	t.Helper()
	answer := filepath.Join(t.TempDir(), "answer")
	var out string
	var err error
	for range 5 { // on a busy machine a function may time out while it connects
		out, err = python(t, "aws", "lambda", "invoke", "--endpoint-url", p.url, "--function-name", function, "--payload", "fileb://"+event, answer)
		text, _ := os.ReadFile(answer)
		if !strings.Contains(string(text), `"errorMessage":"timeout"`) && !strings.Contains(string(text), "DATABASE_UNAVAILABLE") {
			break
		}
	}
	if err != nil || !strings.Contains(out, `"StatusCode": 200`) || strings.Contains(out, "FunctionError") {
		t.Errorf("aws lambda invoke %s: %v, %s", function, err, out)
	}
	text, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	wantFunctionAnswer(t, function, string(text))
}

func wantFunctionAnswer(t *testing.T, function, answer string) {
	t.Helper()
	want := `"statusCode":200`
	if function == "PurgeFunction" {
		want = "null"
	}
	if !strings.Contains(answer, want) {
		t.Errorf("%s: got %s, want %s in it", function, answer, want)
	}
}

// wantSDK invokes each function 64 times at once with boto3.
func (p *program) wantSDK(t *testing.T, events map[string]string) {
	t.Helper()
	args := []string{"-c", sdkScript, p.url}
	for function, event := range events {
		args = append(args, function+"="+event)
	}
	out, err := python(t, "python", args...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var answers map[string][]struct{ Error, Payload string }
	if err := json.Unmarshal([]byte(out), &answers); err != nil {
		t.Fatal(err)
	}
	for function := range events {
		if n := len(answers[function]); n != 64 {
			t.Errorf("%s: got %d answers, want 64", function, n)
		}
		for _, a := range answers[function] {
			if a.Error != "" {
				t.Errorf("%s: %s", function, a.Payload)
			}
			wantFunctionAnswer(t, function, a.Payload)
		}
	}
}

// python runs one of AWS's tools. Unlike command it returns the error.
func python(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(pythonTool(t, name), args...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=us-east-1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.Join(err, errors.New(stderr.String()))
	}
	return stdout.String(), nil
}
