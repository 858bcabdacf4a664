package emulator_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/emulator"
)

// bootstrapSource is a function without dependencies. It calls the URL of its event, then answers with its version.
const bootstrapSource = `package main

import (
	_ "embed"
	"bytes"
	"io"
	"net/http"
	"os"
)

//go:embed version.txt
var version string

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		r, err := http.Get(base + "next")
		if err != nil || r.StatusCode != 200 {
			os.Exit(1)
		}
		url, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if s := string(bytes.Trim(url, "\"")); s != "" {
			http.Get(s)
		}
		answer := []byte("\"" + version + " " + os.Getenv("COLOR") + "\"")
		http.Post(base+r.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(answer))
	}
}
`

const moduleTemplate = `
Resources:
  FirstFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/first/, Timeout: 60, Environment: {Variables: {COLOR: blue}}}
`

// newModule writes a module with one function and starts an emulator that builds it.
func newModule(t *testing.T) (dir string, e running) {
	t.Helper()
	dir = t.TempDir()
	writeFile(t, dir, "go.mod", "module example.com/throwaway\n\ngo 1.26\n")
	writeFile(t, dir, "functions/first/main.go", bootstrapSource)
	writeFile(t, dir, "functions/first/version.txt", "one")
	writeFile(t, dir, "template.yaml", moduleTemplate)
	return dir, serve(t, emulator.Options{Template: filepath.Join(dir, "template.yaml"), Build: true})
}

func (e running) wantVersion(t *testing.T, want string) {
	t.Helper()
	if r := e.invoke(t, "FirstFunction", `""`); r.text != `"`+want+`"` {
		t.Errorf("got %d %s, want version %s", r.code, r.text, want)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	dir, e := newModule(t)
	e.wantVersion(t, "one blue")
	reload := func() {
		t.Helper()
		if err := e.Reload(); err != nil {
			t.Fatal(err)
		}
	}

	m := meet(t, 1)
	running := make(chan reply, 1)
	go func() { running <- e.invoke(t, "FirstFunction", `"`+m.url+`"`) }()
	m.begun(t)
	writeFile(t, dir, "functions/first/version.txt", "two")
	reload()
	e.wantVersion(t, "two blue")
	m.leave()
	if r := <-running; r.text != `"one blue"` {
		t.Errorf("running invocation: got %d %s, want the old version's answer", r.code, r.text)
	}

	writeFile(t, dir, "functions/first/main.go", bootstrapSource+"\nfunc broken( {\n")
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "main.go:") {
		t.Errorf("Reload: got %v, want the compiler's output", err)
	}
	e.wantVersion(t, "two blue")

	writeFile(t, dir, "template.yaml", strings.Replace(moduleTemplate, "blue", "red", 1))
	if err := e.Reload(); err == nil {
		t.Error("Reload with a source that does not compile: got no error")
	}
	e.wantVersion(t, "two blue")
	writeFile(t, dir, "functions/first/main.go", bootstrapSource)
	reload()
	e.wantVersion(t, "two red")

	writeFile(t, dir, "template.yaml", "Resources: [")
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "template.yaml: line 1") {
		t.Errorf("Reload: got %v, want the line of the error", err)
	}
	e.wantVersion(t, "two red")
}

// Functions that have not changed keep their processes.
func TestReloadKeeps(t *testing.T) {
	t.Parallel()
	dir, e := newModule(t)
	second := strings.NewReplacer("First", "Second", "first", "second", "\nResources:\n", "")
	writeFile(t, dir, "template.yaml", moduleTemplate+second.Replace(moduleTemplate))
	pid := strings.NewReplacer(`+ version +`, `+ strconv.Itoa(os.Getpid()) +`, `"os"`, "\"os\"\n\t\"strconv\"")
	writeFile(t, dir, "functions/second/main.go", pid.Replace(bootstrapSource))
	writeFile(t, dir, "functions/second/version.txt", "")
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	before := e.invoke(t, "SecondFunction", `""`).text
	for _, version := range []string{"two", "three"} {
		writeFile(t, dir, "functions/first/version.txt", version)
		if err := e.Reload(); err != nil {
			t.Fatal(err)
		}
		e.wantVersion(t, version+" blue")
		if now := e.invoke(t, "SecondFunction", `""`).text; now != before || strings.HasPrefix(now, `" `) {
			t.Errorf("got process %s, want %s", now, before)
		}
	}
}

// heard counts the reports of Watch or Check.
type heard struct {
	noticed int // changes so far
	changed bool
	err     error
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir, e := newModule(t)
	var reports []heard
	noticed := 0
	check := func(want int) heard {
		t.Helper()
		reports = nil
		e.Check(func() { noticed++ }, func(changed bool, err error) { reports = append(reports, heard{noticed, changed, err}) })
		if len(reports) != want {
			t.Fatalf("got reports %+v, want %d", reports, want)
		}
		return append(reports, heard{})[0]
	}
	check(0)
	writeFile(t, dir, "functions/first/main.go", "package nothing")
	if h := check(1); h.err == nil || h.changed || h.noticed != 1 {
		t.Errorf("got %+v for a source that does not compile", h)
	}
	check(0) // it reports an error once
	writeFile(t, dir, "functions/first/main.go", bootstrapSource+"// a comment\n")
	writeFile(t, dir, "template.yaml", "# another\n"+moduleTemplate)
	if h := check(1); h.err != nil || h.changed {
		t.Errorf("got %+v for new comments, want no change", h)
	}
	writeFile(t, dir, "functions/first/version.txt", "two")
	if h := check(1); h.err != nil || !h.changed {
		t.Errorf("got %+v for a new version, want a change", h)
	}
	e.wantVersion(t, "two blue")
	check(0)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dir, e := newModule(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan heard), make(chan struct{})
	noticed := 0
	go func() {
		defer close(ended)
		e.Watch(ctx, func() { noticed++ }, func(changed bool, err error) {
			select {
			case changes <- heard{noticed, changed, err}:
			case <-ctx.Done():
			}
		})
	}()
	defer func() {
		cancel()
		<-ended
	}()
	writeFile(t, dir, "functions/first/version.txt", "two")
	for h := (heard{}); !h.changed; {
		if h = <-changes; h.err != nil || h.noticed == 0 {
			t.Fatalf("got %+v", h)
		}
	}
	for e.invoke(t, "FirstFunction", `""`).text != `"two blue"` {
		<-changes // Watch may have seen the file empty
	}
}
