package calls_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/local/calls"
	"github.com/osirose-new/database-service/shared/request"
)

// TestLook records only while a page looks. The first request after that switches the recorder off.
func TestLook(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{}, fake{})
	want := func(what string, numbers ...uint64) {
		t.Helper()
		if got := r.numbers(calls.Filter{}); !cmp.Equal(numbers, got) {
			t.Errorf("%s: calls %v, want %v", what, got, numbers)
		}
	}
	r.get(t, "ada")
	want("before a look")
	r.Look()
	r.get(t, "ada")
	want("after a look", 1)
	r.clock.pass(calls.LookTime - 1)
	r.Look()
	r.clock.pass(calls.LookTime - 1)
	r.get(t, "ada")
	want("while a page looks", 2, 1)
	r.clock.pass(1)
	r.get(t, "ada")
	want("after the last look", 2, 1)
	r.Look()
	r.get(t, "ada")
	want("after another look", 3, 2, 1)
}

func TestAlways(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{Always: true}, fake{})
	r.clock.pass(time.Hour)
	r.get(t, "ada")
	r.clock.pass(time.Hour)
	r.get(t, "ada")
	if got, want := r.numbers(calls.Filter{}), []uint64{2, 1}; !cmp.Equal(want, got) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

// TestGet checks the content of calls, with and without payloads.
func TestGet(t *testing.T) {
	t.Parallel()
	adaJSON := `{
  "user_id": "ada"
}`
	message := map[string]string{"reason": "MESSAGE"}
	for name, test := range map[string]struct {
		contentType, body string
		code              twirp.ErrorCode
		rpc               string
		want              calls.Detail // its content
	}{
		"json": {"application/json", `{"user_id":"ada"}`, "ok", getUser, calls.Detail{
			Request: calls.Payload{Text: adaJSON, Bytes: 5},
		}},
		"protobuf": {"application/protobuf", "\x0a\x03ada", "ok", getUser, calls.Detail{
			Request: calls.Payload{Text: adaJSON, Bytes: 5},
		}},
		"an error": {"application/json", `{"user_id":"bob-4711"}`, twirp.NotFound, getUser, calls.Detail{
			Message: "no user bob-4711", Meta: map[string]string{"reason": "USER_NOT_FOUND"},
			Request: calls.Payload{Text: "{\n  \"user_id\": \"bob-4711\"\n}", Bytes: 10},
		}},
		"no JSON": {"application/json", "{4711", twirp.Malformed, getUser, calls.Detail{
			Message: "the json request could not be decoded", Meta: message, Body: calls.Payload{Text: "{4711", Bytes: 5},
		}},
		"no protobuf": {"application/protobuf", "\xff4711", twirp.Malformed, getUser, calls.Detail{
			Message: "the protobuf request could not be decoded", Meta: message,
			Body: calls.Payload{Text: "00000000  ff 34 37 31 31                                    |.4711|\n", Bytes: 5},
		}},
		"too large": {"application/json", `{"user_id":"` + strings.Repeat("x", calls.MaxPayload) + `"}`, twirp.NotFound, getUser, calls.Detail{
			Message: "no user " + strings.Repeat("x", 4<<10-len("no user ")) + "...", Meta: map[string]string{"reason": "USER_NOT_FOUND"},
			Request: calls.Payload{Bytes: calls.MaxPayload + 4, TooLarge: true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, payloads := range []bool{true, false} {
				r := record(t, calls.Options{Payloads: payloads, Always: true}, fake{name: "Ada"})
				r.raw(t, test.contentType, test.body)
				got, ok := r.Get(1)
				if !ok || got.Code != test.code || got.RPC() != test.rpc || got.Took <= 0 || got.ID == "" || got.Start.IsZero() || got.Number != 1 {
					t.Errorf("Get(1) = %+v, %t, want %s with %s", got.Call, ok, test.rpc, test.code)
				}
				if reason := test.want.Meta["reason"]; got.Reason != reason {
					t.Errorf("the reason is %q, want %q", got.Reason, reason)
				}
				if text := got.Answer.Text; (text != "") != (payloads && test.code == "ok") || (text != "" && !strings.Contains(text, `"name": "Ada"`)) {
					t.Errorf("the answer is %q", text)
				}
				got.Call, got.Answer = calls.Call{}, calls.Payload{}
				want := test.want
				if !payloads {
					want = calls.Detail{}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("payloads %t: the content differs (-want +got):\n%s", payloads, diff)
				}
			}
		})
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{Always: true}, fake{})
	r.get(t, "ada") // 1
	r.get(t, "bob") // 2
	r.raw(t, "application/protobuf", "\x0a\x03ada")
	r.raw(t, "application/json", "{")
	for name, test := range map[string]struct {
		calls.Filter
		want []uint64
	}{
		"all":         {want: []uint64{4, 3, 2, 1}},
		"rpc":         {Filter: calls.Filter{RPC: "userservice/get"}, want: []uint64{4, 3, 2, 1}},
		"another rpc": {Filter: calls.Filter{RPC: "Session"}},
		"code":        {Filter: calls.Filter{Code: twirp.NotFound}, want: []uint64{2}},
		"caller":      {Filter: calls.Filter{Caller: "Console"}, want: []uint64{2, 1}},
		"protocol":    {Filter: calls.Filter{Protocol: request.Protobuf}, want: []uint64{3}},
		"errors":      {Filter: calls.Filter{OnlyErrors: true}, want: []uint64{4, 2}},
		"slow":        {Filter: calls.Filter{MinMS: 1e6}},
		"not slow":    {Filter: calls.Filter{MinMS: 1e-6}, want: []uint64{4, 3, 2, 1}},
		"no time":     {Filter: calls.Filter{MinMS: 1e300}},
		"endless":     {Filter: calls.Filter{MinMS: math.Inf(1)}},
	} {
		if got := r.numbers(test.Filter); !cmp.Equal(test.want, got) {
			t.Errorf("%s: listed %v, want %v", name, got, test.want)
		}
	}
}

// TestBounds records more calls, and more bytes, than are kept.
func TestBounds(t *testing.T) {
	t.Parallel()
	few := record(t, calls.Options{Always: true}, fake{})
	for range calls.MaxCalls + 10 {
		few.get(t, "ada")
	}
	list := few.List(calls.Filter{})
	if len(list) != calls.MaxCalls || list[0].Number != calls.MaxCalls+10 {
		t.Errorf("%d calls, the newest %d, want %d of %d", len(list), list[0].Number, calls.MaxCalls, calls.MaxCalls+10)
	}
	if _, ok := few.Get(10); ok {
		t.Error("the 10th call is still there")
	}
	if d, ok := few.Get(11); !ok || d.Number != 11 {
		t.Errorf("Get(11) = %+v, %t, want the oldest call", d.Call, ok)
	}

	const size = 60 << 10 // bytes of an answer
	large := record(t, calls.Options{Always: true, Payloads: true}, fake{name: strings.Repeat("x", size)})
	for range calls.MaxPayloads/size + 10 {
		large.get(t, "ada")
	}
	total := 0
	kept := large.numbers(calls.Filter{})
	for _, n := range kept {
		d, _ := large.Get(n)
		total += d.Request.Bytes + d.Answer.Bytes
	}
	if total > calls.MaxPayloads || total < calls.MaxPayloads-2*size || kept[0] != uint64(calls.MaxPayloads/size+10) {
		t.Errorf("%d bytes of %d calls are kept, want nearly %d", total, len(kept), calls.MaxPayloads)
	}
}

// TestLongPaths records calls of paths that no service has. Twirp's error repeats the path, in its message and in its meta.
func TestLongPaths(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{Always: true, Payloads: true}, fake{})
	for range calls.MaxPayloads/(60<<10) + 20 {
		post := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/twirp/osirose.database.v1.UserService/"+strings.Repeat("x", 60<<10), strings.NewReader("{}"))
		post.Header.Set("Content-Type", "application/json")
		r.HTTP.ServeHTTP(httptest.NewRecorder(), post)
	}
	total := 0
	for _, n := range r.numbers(calls.Filter{}) {
		d, _ := r.Get(n)
		if d.Code != twirp.BadRoute || len(d.Meta) == 0 {
			t.Fatalf("call %d: %s with the meta %d, want bad_route with a meta", n, d.Code, len(d.Meta))
		}
		total += len(d.Message) + d.Body.Bytes
		for name, value := range d.Meta {
			total += len(name) + len(value)
		}
	}
	if total > calls.MaxPayloads {
		t.Errorf("%d bytes of errors are kept, want at most %d", total, calls.MaxPayloads)
	}
}

// TestRecordConcurrently is for the race detector.
func TestRecordConcurrently(t *testing.T) {
	t.Parallel()
	r := record(t, calls.Options{Payloads: true}, fake{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 50 {
				r.Look()
				r.get(t, []string{"ada", "bob"}[i%2])
				for _, c := range r.List(calls.Filter{OnlyErrors: true}) {
					if d, ok := r.Get(c.Number); ok && d.Message == "" {
						t.Errorf("Get(%d) = %+v, want a message", c.Number, d)
					}
				}
				r.clock.pass(time.Second)
			}
		})
	}
	all.Wait()
	if got := len(r.List(calls.Filter{})); got == 0 || got > 200 {
		t.Errorf("%d calls, want at most 200", got)
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Early", r.Host+r.RequestURI)
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "yes")
		fmt.Fprint(w, "tea")
	})
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	client := http.Client{Transport: calls.Transport{Handler: mux}}
	get := func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://db.example.com"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return client.Do(r)
	}
	r, err := get("/early?q=1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.Status != "418 I'm a teapot" || r.Header.Get("X-Early") != "db.example.com/early?q=1" || r.Header.Get("X-Late") != "" || r.ContentLength != 3 {
		t.Errorf("got %s %v", r.Status, r.Header)
	}
	r, err = get("/nothing")
	if err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v, want 200", r, err)
	}
	if r, err := get("/abort"); err == nil {
		t.Errorf("got %s, want an error", r.Status)
	}
}
