package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/emulator/gateway"
)

// TestRecorder saves the events of every gateway.
func TestRecorder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "events")
	r, err := newRecorder(dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []Gateway{HTTPAPI, RESTAPI, FunctionURL, ALB, ALBMulti}
	empty := func(context.Context, Gateway, string, []byte) gateway.Result {
		return gateway.Result{Payload: []byte(`{"statusCode":200,"headers":{}}`)}
	}
	handler := gateway.New(gateway.Config{
		Routes: map[Gateway][]gateway.Route{HTTPAPI: {{Method: "POST", Path: "/twirp/osirose.database.v1.UserService/{method}", Function: empty, Name: "UserFunction"}}},
		Save: func(_ Gateway, name string, event []byte) {
			if _, err := r.save(name, event); err != nil {
				t.Error(err)
			}
		},
	})
	for _, kind := range kinds {
		request := httptest.NewRequest("POST", "/_gateway/"+string(kind)+"/twirp/osirose.database.v1.UserService/GetUser", strings.NewReader("<&>"))
		request.Header.Set("Content-Type", "text/plain")
		handler.ServeHTTP(httptest.NewRecorder(), request)
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/nowhere", nil)) // no function, no event

	var want []string
	for i := range kinds {
		want = append(want, fmt.Sprintf("%04d-UserFunction-GetUser.json", i+1))
	}
	if diff := cmp.Diff(want, fileNames(t, dir)); diff != "" {
		t.Error(diff)
	}
	for _, name := range want {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var event struct{ Body string }
		if err := json.Unmarshal(text, &event); err != nil || event.Body != "<&>" || !strings.HasPrefix(string(text), "{\n  \"") || !strings.HasSuffix(string(text), "\n}\n") {
			t.Errorf("%s is not the indented event: %s", name, text)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, info.Mode(), err)
		}
	}
}

// TestRecorderNumbers continues after the highest number in the folder, and uses no number twice.
func TestRecorderNumbers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"0007-F-m.json", "notes.json", "12-x.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := newRecorder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := r.save("../F/x", []byte(`{"path":"/a/../%2e;é"}`)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := []string{"0007-F-m.json", "12-x.json", "notes.json"}
	for n := 13; n < 33; n++ {
		want = append(want, fmt.Sprintf("%04d-Fx-2e.json", n))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, fileNames(t, dir)); diff != "" {
		t.Error(diff)
	}
	if path, err := r.save("F", []byte(`{}`)); err != nil || filepath.Base(path) != "0033-F-event.json" {
		t.Errorf("save without a path = %s, %v", path, err)
	}
	if _, err := r.save("F", []byte(`{`)); err == nil {
		t.Error("save of text that is not JSON succeeded")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := r.save("F", []byte(`{}`)); err == nil {
		t.Error("save without a folder succeeded")
	}
}

// fileNames returns the names in a folder, sorted.
func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
