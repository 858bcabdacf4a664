package emulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/emulator"
)

func TestInvokeNames(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	for _, name := range []string{
		"GoodFunction", "good", "GoodFunction:live", "GoodFunction:$LATEST", "GoodFunction?Qualifier=live", "123456789012:function:GoodFunction",
		"123456789012:GoodFunction", "function:GoodFunction", "arn:aws:lambda:eu-west-1:123456789012:function:GoodFunction",
		"arn:aws:lambda:us-east-1:123456789012:function:GoodFunction:live", "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3AGoodFunction",
	} {
		path, query, _ := strings.Cut(name, "?")
		r := e.request(t, http.MethodPost, "/2015-03-31/functions/"+path+"/invocations?"+query, "{}")
		if r.code != http.StatusOK || r.json("pid") == "" || r.header.Get("X-Amz-Executed-Version") != "$LATEST" {
			t.Errorf("%s: got %d %s, version %q", name, r.code, r.text, r.header.Get("X-Amz-Executed-Version"))
		}
	}
}

func TestInvokeErrors(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	const post = http.MethodPost
	for _, test := range []struct {
		name, method, path, payload string
		headers                     []string
		code                        int
		kind                        string
		want                        string
	}{
		{"unknown", post, "Missing/invocations", "{}", nil, 404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:Missing"},
		{"no name", post, "a%20b/invocations", "{}", nil, 400, "ValidationException", "a b"},
		{"two qualifiers", post, "GoodFunction:live/invocations?Qualifier=old", "{}", nil, 400, "InvalidParameterValueException", "qualifier"},
		{"no JSON", post, "GoodFunction/invocations", "{", nil, 400, "InvalidRequestContentException", "Could not parse request body into json: "},
		{"client context", post, "GoodFunction/invocations", "{}", []string{"X-Amz-Client-Context", "%"}, 400, "InvalidRequestContentException", "Client context"},
		{"invocation type", post, "GoodFunction/invocations", "{}", []string{"X-Amz-Invocation-Type", "Later"}, 400, "InvalidParameterValueException", "Later"},
		{"too large", post, "GoodFunction/invocations", `"` + strings.Repeat("x", 6<<20) + `"`, nil, 413, "RequestEntityTooLargeException", "Request must be smaller than 6291456 bytes for the InvokeFunction operation"},
		{"too large an event", post, "GoodFunction/invocations", `"` + strings.Repeat("x", 1<<20) + `"`, []string{"X-Amz-Invocation-Type", "Event"}, 413, "RequestEntityTooLargeException", "too large for the Event invocation type (limit 1048576 bytes)"},
		{"another operation", http.MethodDelete, "GoodFunction", "", nil, 501, "UnknownOperationException", "Invoke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := e.request(t, test.method, "/2015-03-31/functions/"+test.path, test.payload, test.headers...)
			wantAnswer(t, r, test.code, "")
			if kind := r.header.Get("X-Amzn-ErrorType"); kind != test.kind || r.json("Type") != "User" || !strings.Contains(r.json("Message"), test.want) {
				t.Errorf("got %s %s, want %s and %q", kind, r.text, test.kind, test.want)
			}
			if r.header.Get("X-Amzn-RequestId") == "" {
				t.Error("got no request id")
			}
		})
	}
	t.Run("largest payload", func(t *testing.T) {
		t.Parallel()
		payload := `{"do":"` + strings.Repeat("x", 6<<20-9) + `"}`
		wantAnswer(t, e.invoke(t, "GoodFunction", payload), http.StatusOK, "")
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		wantAnswer(t, e.invoke(t, "GoodFunction", ""), http.StatusOK, "")
	})
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	r := e.do(t, "exit", "X-Amz-Invocation-Type", "DryRun")
	wantAnswer(t, r, http.StatusNoContent, "")
	if strings.Contains(e.output.String(), "REPORT") {
		t.Error("the function ran")
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	event := []string{"X-Amz-Invocation-Type", "Event"}
	t.Run("runs after the answer", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		m := meet(t, 1)
		r := e.wait(t, m, event...)
		wantAnswer(t, r, http.StatusAccepted, "")
		if r.text != "" || r.header.Get("X-Amzn-RequestId") == "" {
			t.Errorf("got %q and %v, want only a request id", r.text, r.header)
		}
		m.begun(t)
	})
	t.Run("ends before Close does", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		m := meet(t, 1)
		wantAnswer(t, e.wait(t, m, event...), http.StatusAccepted, "")
		m.begun(t)
		closed := make(chan error)
		go func() { closed <- e.Close() }()
		// Close refuses new events and waits for the running one.
		eventually(t, "events to be refused", func() bool {
			return e.do(t, "nothing", event...).code == http.StatusTooManyRequests
		})
		m.leave()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if out := e.output.String(); strings.Contains(out, "Status: error") || !strings.Contains(out, "REPORT") {
			t.Errorf("got %s, want the event to succeed", out)
		}
	})
	t.Run("waits if the queue is full", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{MaxProcesses: 1, MaxQueue: 1})
		m := meet(t, 1)
		wantAnswer(t, e.wait(t, m, event...), http.StatusAccepted, "")
		m.begun(t)
		for range 5 {
			wantAnswer(t, e.do(t, "nothing", event...), http.StatusAccepted, "")
		}
		m.leave()
		eventually(t, "six reports", func() bool { return strings.Count(e.output.String(), "REPORT") == 6 })
		if out := e.output.String(); strings.Contains(out, "try=") {
			t.Errorf("got %s, want no event to fail", out)
		}
	})
	t.Run("runs three times if it fails", func(t *testing.T) {
		t.Parallel()
		e := serve(t, emulator.Options{})
		r := e.do(t, "fail", event...)
		wantAnswer(t, r, http.StatusAccepted, "")
		id := r.header.Get("X-Amzn-RequestId")
		eventually(t, "the last try", func() bool { return strings.Contains(e.output.String(), "try=3") })
		if n := strings.Count(e.output.String(), "REPORT RequestId: "+id); n != 3 {
			t.Errorf("got %d tries with the same id, want 3", n)
		}
	})
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := serve(t, emulator.Options{SaveTo: dir})
	wantAnswer(t, e.invoke(t, "good", `{"do":"nothing","url":"here"}`), http.StatusOK, "")
	e.request(t, http.MethodPost, "/some/Method", "body")
	for pattern, want := range map[string]string{"0001-GoodFunction-*.json": `"here"`, "0002-GoodFunction-Method.json": `"rawPath": "/some/Method"`} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: got %v, %v", pattern, paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, string(text), want)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	r := e.request(t, http.MethodGet, "/2015-03-31/functions/", "")
	var list struct {
		Functions []struct{ FunctionName string }
	}
	if err := json.Unmarshal([]byte(r.text), &list); err != nil || len(list.Functions) != 6 || list.Functions[0].FunctionName != "BrokenFunction" {
		t.Errorf("got %s, %v, want six functions in order", r.text, err)
	}
}

// A process may answer only its own invocation, and only once.
func TestRuntimeAPI(t *testing.T) {
	t.Parallel()
	e := serve(t, emulator.Options{})
	m := meet(t, 1)
	done := make(chan reply, 1)
	go func() { done <- e.wait(t, m) }()
	m.begun(t)
	const runtime = "/2018-06-01/runtime/"
	for _, test := range []struct {
		name, method, path string
		code               int
		kind               string
	}{
		{"unknown invocation", http.MethodPost, "/_runtime/GoodFunction/1" + runtime + "invocation/1-2-3/response", 400, "InvalidRequestID"},
		{"unknown invocation's error", http.MethodPost, "/_runtime/GoodFunction/1" + runtime + "invocation/1-2-3/error", 400, "InvalidRequestID"},
		{"poll before the answer", http.MethodGet, "/_runtime/GoodFunction/1" + runtime + "invocation/next", 403, "InvalidStateTransition"},
		{"no such process", http.MethodGet, "/_runtime/GoodFunction/2" + runtime + "invocation/next", 403, "InvalidStateTransition"},
		{"another function's process", http.MethodGet, "/_runtime/HastyFunction/1" + runtime + "invocation/next", 403, "InvalidStateTransition"},
	} {
		r := e.request(t, test.method, test.path, "{}")
		if r.code != test.code || r.json("errorType") != test.kind || r.json("errorMessage") == "" {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.code, r.text, test.code, test.kind)
		}
	}
	if r := e.request(t, http.MethodGet, "/_runtime/GoodFunction/1"+runtime+"nothing", ""); r.code != http.StatusNotFound {
		t.Errorf("unknown operation: got %d", r.code)
	}
	stranger := httptest.NewRequest(http.MethodGet, "/_runtime/GoodFunction/1"+runtime+"invocation/next", nil)
	stranger.RemoteAddr = "203.0.113.7:1"
	refused := httptest.NewRecorder()
	e.ServeHTTP(refused, stranger)
	if refused.Code != http.StatusForbidden || !strings.Contains(refused.Body.String(), "AccessDenied") {
		t.Errorf("a poll from another machine: got %d %s", refused.Code, refused.Body)
	}
	m.leave()
	first := <-done
	wantAnswer(t, first, http.StatusOK, "")
	id := first.header.Get("X-Amzn-RequestId")
	r := e.request(t, http.MethodPost, "/_runtime/GoodFunction/1"+runtime+"invocation/"+id+"/response", "{}")
	if r.code != http.StatusForbidden || r.json("errorType") != "InvalidStateTransition" {
		t.Errorf("second answer: got %d %s", r.code, r.text)
	}
	ended := e.do(t, "exit")
	wantAnswer(t, ended, http.StatusOK, "Unhandled")
	id = ended.header.Get("X-Amzn-RequestId")
	r = e.request(t, http.MethodPost, "/_runtime/GoodFunction/1"+runtime+"invocation/"+id+"/response", "{}")
	if r.code != http.StatusForbidden {
		t.Errorf("answer of a process that has ended: got %d %s", r.code, r.text)
	}
	if r := e.request(t, http.MethodGet, "/_runtime/GoodFunction/1"+runtime+"invocation/next", ""); r.code != http.StatusForbidden {
		t.Errorf("poll of a process that has ended: got %d %s", r.code, r.text)
	}
}
