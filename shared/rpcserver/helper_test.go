package rpcserver_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serveAll serves all services of p.
func serveAll(t testing.TB, log io.Writer, p *app.Program) string {
	t.Helper()
	return testenv.ServeLog(t, log, rpcserver.Budget, services.New(p).Twirp)
}

// answer is the raw answer to a caller.
type answer struct {
	Status int               `json:"-"`
	Body   string            `json:"-"`
	Code   twirp.ErrorCode   `json:"code"` // empty: no error
	Msg    string            `json:"msg"`
	Meta   map[string]string `json:"meta"`
}

func (a answer) String() string { return http.StatusText(a.Status) + " " + a.Body }

const (
	asProtobuf = "application/protobuf"
	asJSON     = "application/json"
)

// send makes a request. An empty contentType sends none.
func send(t testing.TB, method, url, contentType string, body io.Reader) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return readAnswer(t, response)
}

func readAnswer(t testing.TB, r *http.Response) answer {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	a := answer{Status: r.StatusCode, Body: string(b)}
	if r.StatusCode != http.StatusOK {
		if err := json.Unmarshal(b, &a); err != nil || a.Code == "" {
			t.Errorf("%d %s is not a Twirp error: %v", r.StatusCode, b, err)
		}
	}
	return a
}

// post retries the request while the answer is unavailable, as callers do: on a machine under load a statement may time
// out.
func post(t testing.TB, url, contentType, body string) (a answer) {
	t.Helper()
	for range 30 {
		a = postOnce(t, url, contentType, body)
		if a.Code != twirp.Unavailable && a.Code != twirp.DeadlineExceeded {
			break
		}
	}
	return a
}

func postOnce(t testing.TB, url, contentType, body string) answer {
	t.Helper()
	return send(t, http.MethodPost, url, contentType, strings.NewReader(body))
}

// inner matches what no caller may see: SQL, names of libraries, addresses, types and source positions.
var inner = regexp.MustCompile(`(?i)\b(select|insert into|update|delete from|from game|game\.|sqlstate)\b|pgx|pgconn|postgres|redis|127\.0\.0\.1|localhost|databasev1|\*\w+\.\w+|goroutine|\.go:|runtime error|proto:|json:`)

// wantNoLeak checks that an error's body contains no internals and none of the canaries, which were sent.
func wantNoLeak(t testing.TB, call string, a answer, canaries ...string) {
	t.Helper()
	if a.Code == "" {
		return
	}
	if found := inner.FindString(a.Body); found != "" {
		t.Errorf("%s = %v, which leaks %q", call, a, found)
	}
	for _, c := range canaries {
		if strings.Contains(a.Body, c) {
			t.Errorf("%s = %v, which repeats %q", call, a, c)
		}
	}
}

// wantAnswer checks an error: its code, meta.reason and meta.argument.
func wantAnswer(t testing.TB, call string, a answer, code twirp.ErrorCode, reason, argument string) {
	t.Helper()
	if a.Code != code || a.Meta["reason"] != reason || a.Meta["argument"] != argument || a.Status != twirp.ServerHTTPStatusFromErrorCode(code) {
		t.Errorf("%s = %d %v, want %s reason=%q argument=%q", call, a.Status, a, code, reason, argument)
	}
	wantNoLeak(t, call, a)
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines is a log whose lines a test reads one by one.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

type line struct {
	Level    string
	Msg      string
	RPC      string
	Protocol string
	Code     string
	Cache    string
	MS       *float64
	Request  string
	Caller   string
	Reason   string
	Cause    string
	raw      string
}

// next waits for a line.
func (l lines) next(t testing.TB) line {
	t.Helper()
	return parseLine(t, <-l)
}

func parseLine(t testing.TB, raw string) line {
	t.Helper()
	got := line{raw: raw}
	if err := json.Unmarshal([]byte(raw), &got); err != nil || got.MS == nil || *got.MS < 0 || got.Request == "" || got.Msg != "request" {
		t.Errorf("log line %s: %v, want msg request, ms and request", raw, err)
	}
	return got
}

// wantLine checks the log line of a request.
func wantLine(t testing.TB, call string, got line, level, rpc string, code twirp.ErrorCode) {
	t.Helper()
	if got.Level != level || got.RPC != rpc || got.Code != string(code) {
		t.Errorf("%s logged %s, want level %s, rpc %q, code %s", call, got.raw, level, rpc, code)
	}
}
