package metrics_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/request"
)

func scrape(t testing.TB, m *metrics.Metrics, accept string) (kind, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("a scrape: %d, %v", w.Code, err)
	}
	return w.Header().Get("Content-Type"), string(body)
}

func want(t *testing.T, m *metrics.Metrics, lines ...string) {
	t.Helper()
	_, text := scrape(t, m, "")
	for _, line := range lines {
		if !strings.Contains(text, "\ndatabase_service_"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	m := metrics.New("")
	class := request.Class{Service: "UserService", Method: "GetUser", Protocol: request.JSON, Code: "ok"}
	for _, status := range []string{"hit", "miss"} { // the metric has no label for the status
		class.Cache = status
		m.Class(class)(time.Millisecond)
	}
	class.Code = "not_found"
	m.Class(class)(3 * time.Second)
	m.Class(request.Class{Code: "bad_route"})(0)
	m.Class(request.Class{Service: "UserService", Protocol: request.JSON, Code: "bad_route"})(0)
	want(t, m,
		`requests_total{code="ok",protocol="json",rpc="UserService/GetUser"} 2`,
		`requests_total{code="not_found",protocol="json",rpc="UserService/GetUser"} 1`,
		`requests_total{code="bad_route",protocol="none",rpc="none"} 1`,
		`requests_total{code="bad_route",protocol="json",rpc="none"} 1`,
		`request_duration_seconds_bucket{protocol="json",rpc="UserService/GetUser",le="0.0005"} 0`,
		`request_duration_seconds_bucket{protocol="json",rpc="UserService/GetUser",le="1"} 2`,
		`request_duration_seconds_bucket{protocol="json",rpc="UserService/GetUser",le="+Inf"} 3`,
		`request_duration_seconds_count{protocol="none",rpc="none"} 1`,
	)
}

func TestStatementAndRedis(t *testing.T) {
	t.Parallel()
	m := metrics.New("")
	want(t, m, `postgres_statement_duration_seconds_count{class="unavailable"} 0`) // before the first statement: a missing series has no rate
	for _, err := range []error{
		nil, pgx.ErrNoRows, errors.New("a rule of ours"), &pgconn.PgError{Code: "23505"}, &pgconn.PgError{Code: "40001"}, &pgconn.PgError{Code: "57P01"},
		fmt.Errorf("read: %w", io.ErrUnexpectedEOF), pgconn.ErrConnClosed,
	} {
		m.Statement(2*time.Millisecond, 20*time.Millisecond, err)
	}
	m.Redis("evalsha", time.Millisecond, false)
	m.Redis("evalsha", 51*time.Millisecond, true)
	want(t, m,
		`postgres_statement_duration_seconds_count{class="ok"} 3`,
		`postgres_statement_duration_seconds_count{class="error"} 1`,
		`postgres_statement_duration_seconds_count{class="retry"} 1`,
		`postgres_statement_duration_seconds_count{class="unavailable"} 3`,
		`postgres_statement_duration_seconds_bucket{class="ok",le="0.01"} 0`,
		`postgres_connection_wait_seconds_bucket{le="0.002"} 8`,
		`redis_call_duration_seconds_count{command="evalsha"} 2`,
		`redis_unanswered_calls_total{command="evalsha"} 1`,
	)
}

func TestState(t *testing.T) {
	t.Parallel()
	m := metrics.New("")
	m.Show(limiter.Stats{Inside: 1, Waiting: 2, Capacity: 3}, cache.Stats{
		Hits: 2, Misses: 3, Untrusted: 4, Bypassed: 5, Fills: 6, RefusedFills: 7, Syncs: 8, NewEpochs: 9, RedisErrors: 10, FailedDeletes: 11,
		WatermarkAge: 250 * time.Millisecond, BreakerOpen: true,
		MemoryHits: 18, MemorySyncs: 19, MemoryEras: 20, MemoryRefusedFills: 21, MemoryBytes: 22,
	}, postgres.Stats{InUse: 12, Idle: 13, Connecting: 14, Max: 15, Waiting: 16, Refused: 17})
	want(t, m,
		"requests_in_flight 1", "requests_waiting 2", "request_slots 3", `cache_reads_total{status="hit"} 2`, `cache_reads_total{status="miss"} 3`,
		`cache_reads_total{status="untrusted"} 4`, `cache_reads_total{status="bypassed"} 5`, "cache_fills_total 6", "cache_refused_fills_total 7",
		"cache_syncs_total 8", "cache_new_epochs_total 9", "cache_redis_errors_total 10", "cache_failed_deletes_total 11",
		"cache_watermark_age_seconds 0.25", "cache_breaker_open 1", `postgres_connections{state="in_use"} 12`, `postgres_connections{state="idle"} 13`,
		`postgres_connections{state="connecting"} 14`, "postgres_max_connections 15", "postgres_waiting_statements 16", "postgres_refused_statements_total 17",
		`cache_reads_total{status="memory"} 18`, "cache_memory_syncs_total 19", "cache_memory_restarts_total 20", "cache_memory_refused_fills_total 21",
		"cache_memory_bytes 22",
	)
}

func TestFormats(t *testing.T) {
	t.Parallel()
	m := metrics.New("4f2e0c1")
	c := app.Options{Config: config.Config{DatabaseURL: "postgres://nobody.invalid/x?pool_max_conns=7", RedisURL: "redis://nobody.invalid"}}
	m.Watch(&c.Telemetry)
	p, err := app.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	want(t, m, "postgres_max_connections 7", `cache_reads_total{status="hit"} 0`, `postgres_connections{state="in_use"} 0`, "requests_in_flight 0", "cache_breaker_open 0")
	_, text := scrape(t, m, "")
	if !strings.Contains(text, `revision="4f2e0c1"`) {
		t.Error("build_info does not have the revision")
	}
	kind, text := scrape(t, m, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text") || !strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("to a scraper of OpenMetrics it answers %s", kind)
	}
}

// TestNothingAllocated checks that counting does not allocate.
func TestNothingAllocated(t *testing.T) { //nolint:paralleltest // it counts the allocations of the process
	m := metrics.New("")
	for what, f := range hotPaths(m) {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
}

func BenchmarkHotPaths(b *testing.B) {
	m := metrics.New("")
	for what, f := range hotPaths(m) {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func hotPaths(m *metrics.Metrics) map[string]func() {
	observe := m.Class(request.Class{Service: "UserService", Method: "GetUser", Protocol: request.Protobuf, Code: "ok", Cache: "hit"})
	return map[string]func(){
		"request":   func() { observe(300 * time.Microsecond) },
		"redis":     func() { m.Redis("pipeline", 150*time.Microsecond, false) },
		"statement": func() { m.Statement(time.Microsecond, time.Millisecond, nil) },
	}
}
