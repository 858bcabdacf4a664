package emulator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/emulator"
)

// obeyingTemplate has functions for obey. FrontFunction has the only route.
const obeyingTemplate = `
Resources:
  FrontFunction:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 900, Events: {All: {Type: HttpApi}}}
  BackFunction:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 900, EventInvokeConfig: {MaximumRetryAttempts: 1}}
`

// obey fails, or answers with as many bytes as the event says.
func obey(_ context.Context, payload []byte) ([]byte, error) {
	var size int
	if bytes.Contains(payload, []byte("fail")) {
		return nil, errors.New("as ordered " + strings.Repeat("é", 400))
	}
	if _, err := fmt.Sscanf(string(payload), `"%d`, &size); err == nil {
		return []byte(`"` + strings.Repeat("r", size-2) + `"`), nil
	}
	return []byte(`{"statusCode":201}`), nil
}

func serveObeying(t *testing.T) running {
	t.Helper()
	return serve(t, emulator.Options{
		Template: writeFile(t, t.TempDir(), "template.yaml", obeyingTemplate),
		Handlers: map[string]emulator.Handler{"FrontFunction": handler(obey), "BackFunction": handler(obey)},
	})
}

// invocation returns an invocation that the history must have.
func (e running) invocation(t *testing.T, number int64) emulator.Invocation {
	t.Helper()
	i, ok := e.Invocation(number)
	if !ok {
		t.Fatalf("Invocation(%d): not found, want it among %v", number, e.Invocations())
	}
	return i
}

// essence is what does not vary in an invocation.
type essence struct {
	Number    int64
	Function  string
	Source    string
	ReplayOf  int64
	Async     bool
	Event     string
	Response  string
	Failed    bool
	Throttled bool
}

func essenceOf(i emulator.Invocation) essence {
	return essence{i.Number, i.Function, i.Source, i.ReplayOf, i.Async, string(i.Event), string(i.Response), i.Failed, i.Throttled}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	e := serveObeying(t)
	wantAnswer(t, e.invoke(t, "BackFunction", `{"a":1}`), http.StatusOK, "")
	e.request(t, http.MethodGet, "/x", "")
	e.request(t, http.MethodGet, "/_gateway/alb/x", "")
	id := e.invoke(t, "BackFunction", `"fail"`, "X-Amz-Invocation-Type", "Event").header.Get("X-Amzn-RequestId")
	eventually(t, "the event and its retry", func() bool { return len(e.Invocations()) == 5 })
	var got []essence
	for _, listed := range e.Invocations() {
		i := e.invocation(t, listed.Number)
		if i.Start.IsZero() || i.RequestID == "" || i.EventSize != len(i.Event) || i.ResponseSize != len(i.Response) || !bytes.Contains(i.Log, []byte("REPORT RequestId: "+i.RequestID)) {
			t.Errorf("invocation %d is incomplete: %+v", i.Number, i)
		}
		if diff := cmp.Diff(i, listed); diff != "" {
			t.Errorf("invocation %d is listed with other fields: %s", i.Number, diff)
		}
		if i.Async != (i.RequestID == id) {
			t.Errorf("invocation %d has the id %s, want that of the event only for the event", i.Number, i.RequestID)
		}
		if i.Source != emulator.SourceInvoke {
			i.Event = nil // of a gateway
		} else if i.Failed {
			i.Response = i.Response[:0]
		}
		got = append(got, essenceOf(i))
	}
	want := []essence{
		{Number: 1, Function: "BackFunction", Source: "invoke", Event: `{"a":1}`, Response: `{"statusCode":201}`},
		{Number: 2, Function: "FrontFunction", Source: "v2", Response: `{"statusCode":201}`},
		{Number: 3, Function: "FrontFunction", Source: "alb", Response: `{"statusCode":201}`},
		{Number: 4, Function: "BackFunction", Source: "invoke", Async: true, Event: `"fail"`, Failed: true},
		{Number: 5, Function: "BackFunction", Source: "invoke", Async: true, Event: `"fail"`, Failed: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, ok := e.Invocation(6); ok {
		t.Error("the history has an invocation 6")
	}
}

func TestHistoryBounds(t *testing.T) {
	t.Parallel()
	t.Run("invocations", func(t *testing.T) {
		t.Parallel()
		e := serveObeying(t)
		for range 203 {
			e.invoke(t, "BackFunction", "{}")
		}
		list := e.Invocations()
		if len(list) != 200 || list[0].Number != 4 || list[199].Number != 203 {
			t.Errorf("got %d invocations from %d, want the last 200 of 203", len(list), list[0].Number)
		}
		if _, ok := e.Invocation(3); ok {
			t.Error("the history has invocation 3, want it forgotten")
		}
	})
	t.Run("bytes of all", func(t *testing.T) {
		t.Parallel()
		e := serveObeying(t)
		event := `"262144` + strings.Repeat("e", 100_000) + `"`
		for range 40 {
			e.invoke(t, "BackFunction", event)
		}
		size, largest := 0, 0
		for _, i := range e.Invocations() {
			largest = max(largest, len(i.Event)+len(i.Response)+len(i.Log))
			size += len(i.Event) + len(i.Response) + len(i.Log)
		}
		if size > 8<<20 || size+largest <= 8<<20 {
			t.Errorf("got %d bytes, want 8 MiB less at most an invocation", size)
		}
		if list := e.Invocations(); list[len(list)-1].Number != 40 {
			t.Errorf("got %d as the newest, want 40", list[len(list)-1].Number)
		}
	})
	t.Run("bytes of one", func(t *testing.T) {
		t.Parallel()
		e := serveObeying(t)
		e.invoke(t, "BackFunction", `"262144"`)
		e.invoke(t, "BackFunction", `"262145"`)
		e.invoke(t, "BackFunction", `{"a":"`+strings.Repeat("e", 262144)+`"}`)
		for n, want := range []emulator.Invocation{
			{EventSize: 8, ResponseSize: 262144}, {EventSize: 8, ResponseSize: 262145, ResponseCut: true}, {EventSize: 262152, EventCut: true, ResponseSize: 18},
		} {
			i := e.invocation(t, int64(n+1))
			if i.EventSize != want.EventSize || i.EventCut != want.EventCut || i.ResponseSize != want.ResponseSize || i.ResponseCut != want.ResponseCut {
				t.Errorf("invocation %d: got %d %v, %d %v; want %+v", i.Number, i.EventSize, i.EventCut, i.ResponseSize, i.ResponseCut, want)
			}
			if (i.Event == nil) != i.EventCut || (i.Response == nil) != i.ResponseCut {
				t.Errorf("invocation %d: a cut payload is kept, or another is not", i.Number)
			}
		}
		if _, err := e.Replay(t.Context(), 3); !errors.Is(err, emulator.ErrEventNotKept) || !strings.Contains(err.Error(), "262152 bytes") {
			t.Errorf("Replay: got %v, want ErrEventNotKept and the size", err)
		}
		if _, err := e.invocation(t, 3).HTTP(); !errors.Is(err, emulator.ErrEventNotKept) {
			t.Errorf("HTTP: got %v, want ErrEventNotKept", err)
		}
	})
}

// Readers see numbers that grow while invocations end.
func TestHistoryConcurrent(t *testing.T) {
	t.Parallel()
	e := serveObeying(t)
	var all, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				last := int64(0)
				for _, i := range e.Invocations() {
					if i.Number <= last {
						t.Errorf("got %d after %d", i.Number, last)
					}
					last = i.Number
					_, _ = e.Invocation(last)
				}
				_ = e.Inspect()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 8 {
		all.Go(func() {
			for range 40 {
				e.invoke(t, "BackFunction", "{}")
			}
		})
	}
	all.Wait()
	close(done)
	readers.Wait()
	if list := e.Invocations(); list[len(list)-1].Number != 320 {
		t.Errorf("got %d invocations, want 320", list[len(list)-1].Number)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	e := serveObeying(t)
	e.request(t, http.MethodPost, "/x?y=1", "body")
	original := e.invocation(t, 1)
	i, err := e.Replay(t.Context(), 1)
	want := essenceOf(original)
	want.Number, want.Source, want.ReplayOf = 2, emulator.SourceReplay, 1
	if diff := cmp.Diff(want, essenceOf(i)); err != nil || diff != "" {
		t.Errorf("Replay: %v, %s", err, diff)
	}
	if diff := cmp.Diff(e.invocation(t, 2), i); diff != "" || i.RequestID == original.RequestID || i.RequestID == "" {
		t.Errorf("Replay: got the id %q and a record that is not the kept one: %s", i.RequestID, diff)
	}
	e.invoke(t, "BackFunction", `"fail"`)
	if i, err := e.Replay(t.Context(), 3); err != nil || !i.Failed {
		t.Errorf("Replay of a failure: got %+v, %v; want another failure", i, err)
	}
	if i, err := e.Replay(t.Context(), 2); err != nil || i.ReplayOf != 2 || i.Number != 5 {
		t.Errorf("Replay of a replay: got %+v, %v; want 5, which repeats 2", i, err)
	}
	if _, err := e.Replay(t.Context(), 99); !errors.Is(err, emulator.ErrUnknownInvocation) || !strings.Contains(err.Error(), "99") {
		t.Errorf("Replay(99): got %v, want ErrUnknownInvocation", err)
	}
}

func TestReplayProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, dir, "template.yaml", testTemplate)
	e := serve(t, emulator.Options{Template: file})
	wantAnswer(t, e.do(t, "context", "X-Amz-Client-Context", "eyJjdXN0b20iOnsiY29sb3IiOiJyZWQifX0="), http.StatusOK, "")
	i, err := e.Replay(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(i.Response), `"custom":"red"`, `"requestID":"`+i.RequestID+`"`)
	writeFile(t, dir, "template.yaml", strings.ReplaceAll(testTemplate, "GoodFunction", "BestFunction"))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Replay(t.Context(), 1); !errors.Is(err, emulator.ErrFunctionGone) || !strings.Contains(err.Error(), "GoodFunction") {
		t.Errorf("Replay: got %v, want ErrFunctionGone and the function", err)
	}
}
