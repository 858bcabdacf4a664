package console_test

import (
	"encoding/xml"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/limiter"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// clock is a time that a test sets forward.
type clock struct{ time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.Time }

func (c *clock) pass(d time.Duration) { c.Time = c.Add(d) }

// Buckets of metrics.Durations, by their upper ends.
const (
	upTo1ms, upTo2ms, upTo1s, longer = 2, 3, 11, 12
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		q    float64
		took metrics.Durations
		want float64
		text string
	}{
		"no requests":                 {.99, metrics.Durations{}, math.NaN(), ""},
		"half of the first bucket":    {.50, metrics.Durations{100}, .0001, "0.10 ms"},
		"half of a bucket":            {.50, metrics.Durations{upTo2ms: 100}, .0015, "1.50 ms"},
		"the end of a bucket":         {.50, metrics.Durations{upTo1ms: 50, upTo2ms: 50}, .001, "1 ms"},
		"the next bucket":             {.99, metrics.Durations{upTo1ms: 98, upTo2ms: 2}, .0015, "1.50 ms"},
		"the last bucket with an end": {.50, metrics.Durations{upTo1s: 2}, .75, "750 ms"},
		"longer":                      {.99, metrics.Durations{upTo1ms: 9, longer: 1}, math.Inf(1), "over 1 s"},
	} {
		text, got := console.Quantile(test.q, test.took)
		if text != test.text || math.Abs(got-test.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(test.want) || math.IsInf(got, 1) != math.IsInf(test.want, 1) {
			t.Errorf("%s: quantile %v of %v = %v, %q, want %v, %q", name, test.q, test.took, got, text, test.want, test.text)
		}
	}
}

// TestSampler checks when a sample is taken and how long it is kept.
func TestSampler(t *testing.T) {
	t.Parallel()
	at, taken := newClock(), 0
	s := console.NewSampler(func() metrics.Snapshot { taken++; return metrics.Snapshot{} }, at.now)
	for _, step := range []struct {
		pass  time.Duration
		taken int
		kept  int
		what  string
	}{
		{0, 1, 1, "the first"},
		{time.Second, 1, 1, "the last one is 1 s old"},
		{time.Millisecond, 2, 2, "it is older than 1 s"},
		{10 * time.Second, 3, 3, "it is 10 s old"},
		{10*time.Second + time.Millisecond, 4, 1, "it is older than 10 s"},
	} {
		at.pass(step.pass)
		if ages := s.Look(); taken != step.taken || len(ages) != step.kept {
			t.Errorf("%s: %d samples were taken and %d are kept, want %d and %d", step.what, taken, len(ages), step.taken, step.kept)
		}
	}
	for every, kept := range map[time.Duration]int{1100 * time.Millisecond: 60, 2 * time.Second: 60, 8 * time.Second: 16} {
		var ages []time.Duration
		for range 70 {
			at.pass(every)
			ages = s.Look()
		}
		if len(ages) != kept || ages[0] > 2*time.Minute || ages[len(ages)-1] != 0 {
			t.Errorf("a poll each %v: %d samples are kept, the oldest of %v, the newest of %v, want %d of at most 2 min", every, len(ages), ages[0], ages[len(ages)-1], kept)
		}
	}
}

// figures are two snapshots that are 2 s apart.
func figures() (before, after metrics.Snapshot) {
	before = metrics.Snapshot{
		RPCs:  []metrics.RPC{{Name: "UserService/GetUser", Requests: 100, Took: metrics.Durations{100}}},
		Cache: cache.Stats{Hits: 1, MemoryHits: 1, Misses: 1, Untrusted: 1, Bypassed: 1},
	}
	return before, metrics.Snapshot{
		RPCs: []metrics.RPC{
			{Name: "UserService/GetUser", Requests: 150, Errors: 3, Took: metrics.Durations{100, upTo2ms: 50}},
			{Name: "StaffService/FindPlayers", Requests: 10, Errors: 2, Failures: 1, Took: metrics.Durations{longer: 10}},
			{Name: "none", Requests: 1, Took: metrics.Durations{1}},
			{Name: "SessionService/GetSession"},
		},
		Limits: limiter.Stats{Inside: 5, Waiting: 7, Capacity: 64},
		Cache:  cache.Stats{Hits: 60, MemoryHits: 40, Misses: 3, Untrusted: 1, Bypassed: 1, WatermarkAge: 120 * time.Millisecond, BreakerOpen: true},
		Pool:   postgres.Stats{InUse: 3, Max: 16, Waiting: 2},
	}
}

func TestCharts(t *testing.T) {
	t.Parallel()
	at := newClock()
	before, after := figures()
	next := before
	s := console.NewSampler(func() metrics.Snapshot { return next }, at.now)
	first := s.Charts()
	for name, want := range map[string][3]string{
		"Requests per second":    {"not known yet", "0 to 1", ""},
		"Duration, p50":          {"not known yet", "0 ms to 1 ms", ""},
		"Cache hit rate":         {"not known yet", "0 % to 100 %", ""},
		"PostgreSQL connections": {"0 of 0", "0 to 0", "M238.0 46.0h0"},
		"Redis breaker":          {"closed", "closed to open", "M238.0 46.0h0"},
	} {
		if diff := cmp.Diff(want, first[name]); diff != "" {
			t.Errorf("at the first look, %s: %s", name, diff)
		}
	}
	at.pass(2 * time.Second)
	next = after
	second := s.Charts()
	want := map[string][3]string{
		"Requests per second":    {"30.5", "0 to 30.5", "M238.0 2.0h0"}, // 61 in 2 s
		"Duration, p50":          {"1.59 ms", "0 ms to 1.59 ms", "M238.0 2.0h0"},
		"Duration, p99":          {"over 1 s", "0 ms to 1000 ms", "M238.0 2.0h0"},
		"Cache hit rate":         {"98 %", "0 % to 100 %", "M238.0 2.9h0"}, // 98 of 100
		"Watermark age":          {"120 ms", "0 ms to 250 ms", "M238.0 24.9h0"},
		"Redis breaker":          {"open", "closed to open", "M234.1 46.0h0L238.0 2.0"},
		"PostgreSQL connections": {"3 of 16", "0 to 16", "M234.1 46.0h0L238.0 37.8"},
		"Waiting statements":     {"2", "0 to 2", "M234.1 46.0h0L238.0 2.0"},
		"Requests in flight":     {"5 of 64", "0 to 64", "M234.1 46.0h0L238.0 42.6"},
		"Waiting requests":       {"7", "0 to 7", "M234.1 46.0h0L238.0 2.0"},
	}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("2 s later (-want +got):\n%s", diff)
	}
	at.pass(2 * time.Second)
	third := s.Charts()
	for name, want := range map[string][2]string{
		"Requests per second": {"0", "M234.1 2.0h0L238.0 46.0"}, "Duration, p99": {"no requests", "M234.1 2.0h0"}, "Cache hit rate": {"no lookups", "M234.1 2.9h0"},
	} {
		if got := third[name]; got[0] != want[0] || got[2] != want[1] {
			t.Errorf("without a request since, %s: got %q, want %q", name, got, want)
		}
	}
}

// statePage returns the page State of a service without logins.
func statePage(t *testing.T, s console.State, now func() time.Time) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := console.StateAt(console.Options{Open: true, Edge: rpcserver.New(log), Log: log, State: s}, now)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/console/state", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s, want 200", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestStatePage(t *testing.T) {
	t.Parallel()
	at := newClock()
	_, snapshot := figures()
	s := console.State{
		Ready: func() console.Readiness {
			return console.Readiness{Ready: true, Database: "ok", Schema: "ok", Redis: "down", Callers: "any", Warning: "<b>tables", SchemaVersion: 6}
		},
		Metrics: func() metrics.Snapshot { return snapshot },
		About: func() console.About {
			return console.About{Build: metrics.Build{Version: "v1.2.3", Revision: "abc", Go: "go1.99"}, Started: at.Add(-time.Hour), Database: "db:5432/game", Redis: "redis:6379"}
		},
	}
	page := statePage(t, s, at.now)
	for _, want := range []string{
		`<strong class="good">Ready.</strong>`, `<strong class="bad">not ok</strong>`, "Check REDIS_URL (redis:6379)", "Set CALLERS_FILE", "&lt;b&gt;tables.",
		"v1.2.3", "abc", "go1.99", "<dd>1 h</dd>", "db:5432/game", "<dd>version 6</dd>", "any that reach the port", `hx-trigger="every 2s"`, "03:04:05 UTC",
		"<tr><th scope=\"row\">StaffService/FindPlayers</th><td>10</td><td>2</td><td><strong class=\"bad\">1</strong></td><td>over 1 s</td><td>over 1 s</td></tr>\n" +
			"<tr><th scope=\"row\">UserService/GetUser</th><td>150</td><td>3</td><td>0</td><td>0.15 ms</td><td>1.97 ms</td></tr>\n" +
			"<tr><th scope=\"row\">not known: refused, or no such rpc</th>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	_, content, _ := strings.Cut(page, "</style>")
	for _, no := range []string{"SessionService/GetSession", "aria-live", `role="status"`, "style=", "<b>tables"} {
		if strings.Contains(content, no) {
			t.Errorf("the page has %q", no)
		}
	}
	pictures := 0
	for part := page; ; pictures++ {
		_, after, found := strings.Cut(part, "<svg ")
		if !found {
			break
		}
		picture, rest, _ := strings.Cut(after, "</svg>")
		wellFormed(t, "<svg "+picture+"</svg>")
		if !strings.Contains(picture, `role="img" aria-label="`) {
			t.Errorf("a picture without a name: %s", picture)
		}
		part = rest
	}
	if pictures != 10 {
		t.Errorf("%d charts, want 10", pictures)
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// TestStatePageWithoutMetrics checks the page of a process that serves no requests.
func TestStatePageWithoutMetrics(t *testing.T) {
	t.Parallel()
	page := statePage(t, console.State{
		Ready: func() console.Readiness { return console.Readiness{Ready: true, Database: "ok"} }, About: func() console.About { return console.About{} },
	}, newClock().now)
	if !strings.Contains(page, `href="/console/emulator"`) || strings.Contains(page, "<svg") || !strings.Contains(page, `id="facts"`) {
		t.Errorf("got %s, want readiness and facts without charts", page)
	}
}
