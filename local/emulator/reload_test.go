package emulator_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator"
)

// bootstrapSource is a function without dependencies: it answers with its version, after it has asked the URL of its
// event whether it may.
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

// newModule is a module with one function. The emulator builds it as it would this one.
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
		t.Errorf("what ran: got %d %s, want the old version's answer", r.code, r.text)
	}

	writeFile(t, dir, "functions/first/main.go", bootstrapSource+"\nfunc broken( {\n")
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "main.go:") {
		t.Errorf("Reload: got %v, want the compiler's words", err)
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
		t.Errorf("Reload: got %v, want the line that is wrong", err)
	}
	e.wantVersion(t, "two red")
}

// What has not changed keeps its processes.
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

// heard is what Watch tells of a change.
type heard struct {
	noticed int // so far
	changed bool
	err     error
}

// watch lets e watch until stop is called.
func (e running) watch(t *testing.T) (changes chan heard, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes = make(chan heard)
	noticed := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Watch(ctx, func() { noticed++ }, func(changed bool, err error) {
			select {
			case changes <- heard{noticed, changed, err}:
			case <-ctx.Done():
			}
		})
	}()
	return changes, func() {
		cancel()
		<-ended
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dir, e := newModule(t)
	changes, stop := e.watch(t)
	defer stop()
	writeFile(t, dir, "functions/first/main.go", "package nothing")
	if h := <-changes; h.err == nil || h.changed || h.noticed != 1 {
		t.Errorf("got %+v of a source that does not compile", h)
	}
	writeFile(t, dir, "functions/first/main.go", bootstrapSource+"// a comment\n")
	writeFile(t, dir, "template.yaml", "# another\n"+moduleTemplate)
	h := <-changes
	for h.err != nil { // a file may be seen while it is written
		h = <-changes
	}
	if h.changed {
		t.Error("got a change, and what runs is the same")
	}
	writeFile(t, dir, "functions/first/version.txt", "two")
	for !h.changed {
		if h = <-changes; h.err != nil {
			t.Fatal(h.err)
		}
	}
	for e.invoke(t, "FirstFunction", `""`).text != `"two blue"` {
		<-changes // it was empty first
	}
	select {
	case h := <-changes:
		t.Errorf("got a reload, %+v, and nothing has changed", h)
	case <-time.After(1500 * time.Millisecond): // a watcher that goes astray does so at once
	}
}
