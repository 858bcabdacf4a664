package tracing_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
	"github.com/osirose-new/database-service/shared/tracing"
)

func TestMain(m *testing.M) {
	os.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // ms, for tests that wait for a batch
	testenv.Main(m)
}

const (
	asProtobuf = "application/protobuf"
	asJSON     = "application/json"
	getUser    = "osirose.database.v1.UserService/GetUser"
)

// traced is a program that sends traces to a collector.
type traced struct {
	*app.Program
	traces  *tracing.Traces
	handler http.Handler
	log     *buffer
}

// open opens a program on e's servers that sends its traces to endpoint.
func open(t testing.TB, e *testenv.Env, endpoint string, function bool) *traced {
	t.Helper()
	p := &traced{log: &buffer{}}
	var err error
	p.traces, err = tracing.Open(tracing.Options{Endpoint: endpoint, Log: slog.New(slog.NewJSONHandler(p.log, nil)), Function: function})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.traces.Close)
	p.Program = e.Open(t, func(c *app.Options) {
		c.LogTo, c.LogFormat = p.log, "json"
		c.Telemetry.Tracer, c.Telemetry.Queries, c.Telemetry.TraceRedis = p.traces.Requests(), p.traces.Queries(), p.traces.Redis
	})
	p.handler = services.New(p.Program).Handler(p.Edge())
	return p
}

// serve returns the URL of a listener.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/twirp/"
}

// call sends a message to an rpc and returns the status, and the header and the body of the answer.
func call(t testing.TB, url, rpc, contentType string, header http.Header, m proto.Message) (int, http.Header, []byte) {
	t.Helper()
	body, err := proto.Marshal(m)
	if contentType == asJSON {
		body, err = protojson.Marshal(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return send(t, url+rpc, contentType, header, body)
}

func send(t testing.TB, url, contentType string, header http.Header, body []byte) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, answer
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// splitTrace splits the value of traceresponse.
func splitTrace(t testing.TB, value string) (trace, span, flags string) {
	t.Helper()
	parts := strings.Split(value, "-")
	if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 {
		t.Fatalf("traceresponse: %q, want 00-TRACE-SPAN-FLAGS", value)
	}
	return parts[1], parts[2], parts[3]
}

// patient retries a call while the database does not answer in time, because the machine may be busy.
func patient(t testing.TB, f func() (int, http.Header, []byte)) (status int, header http.Header, body []byte) {
	t.Helper()
	for range 30 {
		if status, header, body = f(); !late(status) {
			break
		}
	}
	return status, header, body
}

func late(status int) bool {
	return status == twirp.ServerHTTPStatusFromErrorCode(twirp.Unavailable) || status == twirp.ServerHTTPStatusFromErrorCode(twirp.DeadlineExceeded)
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	discard bool
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discard {
		return len(p), nil
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
