package emf_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/emf"
	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/testenv"
)

// one returns the line of a call that must write exactly one.
func (f functions) one(t testing.TB, call string) line {
	t.Helper()
	lines := f.out.take()
	if len(lines) != 1 {
		t.Fatalf("%s wrote %d lines, want 1", call, len(lines))
	}
	l := lines[0]
	if l.metrics["Requests"] != 1 || l.text("Stage") != "test" || l.text("Version") != "7" || l.text("level") != "INFO" {
		t.Errorf("%s wrote %s, want one request, stage, version and level", call, l.raw)
	}
	if at, err := time.Parse(time.RFC3339, l.text("timestamp")); err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("%s wrote %s: timestamp: %v", call, l.raw, err)
	}
	for _, name := range []string{"code", "msg", "request"} { // the alarms count these members in the log's lines
		if _, ok := l.members[name]; ok {
			t.Errorf("%s wrote %s, want no member %s", call, l.raw, name)
		}
	}
	return l
}

func TestLine(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		id := e.AddUser(t, "Canary4711")
		_, token := e.AddSession(t, id, time.Hour)
		f := start(t, e, true)
		getUser := event(t, "UserService/GetUser", &databasev1.GetUserRequest{UserId: id})
		f.until(t, getUser, "miss")
		cold := f.until(t, getUser, "hit")
		want(t, cold, "UserService/GetUser", "ok", "protobuf", "CacheHits", "RedisCalls", "RedisTime", "WatermarkAge", "BreakerOpen")
		dimensions := map[string][][]string{
			"Requests": {{"Stage", "RPC", "Code"}, {"Stage"}}, "Duration": {{"Stage", "RPC"}, {"Stage"}}, "CacheHits": {{"Stage"}},
			"RedisCalls": {{"Stage"}}, "RedisTime": {{"Stage"}}, "WatermarkAge": {{"Stage"}}, "BreakerOpen": {{"Stage"}},
		}
		if diff := cmp.Diff(dimensions, cold.dimensions); diff != "" {
			t.Errorf("dimensions of a hit (-want +got):\n%s", diff)
		}
		if cold.metrics["CacheHits"] != 1 || cold.metrics["BreakerOpen"] != 0 || cold.metrics["WatermarkAge"] > 1000 || cold.text("Request") != requestID {
			t.Errorf("a hit wrote %s", cold.raw)
		}

		session := event(t, "SessionService/GetSession", &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
		for _, statements := range []float64{2, 1} { // the first token also asks how tokens are stored
			wantAnswer(t, "GetSession", invoke(t, f.session, session), `"statusCode":200`)
			l := f.one(t, "GetSession")
			want(t, l, "SessionService/GetSession", "ok", "protobuf", "Statements", "StatementTime", "StatementWait", "PoolInUse", "PoolMax")
			if l.metrics["PoolMax"] != 8 || l.metrics["Statements"] != statements {
				t.Errorf("GetSession wrote %s, want %v statements, and at most 8 connections", l.raw, statements)
			}
		}

		e.RDProxy.Refuse()
		invoke(t, f.user, getUser)
		want(t, f.one(t, "GetUser without Redis"), "UserService/GetUser", "ok", "protobuf", "CacheUntrusted", "RedisFailures", "Statements")
		e.PGProxy.Refuse()
		invoke(t, f.user, getUser)
		want(t, f.one(t, "GetUser without any server"), "UserService/GetUser", "unavailable", "protobuf")
	})
}

// until repeats a call until it has the wanted cache status: on a machine under load the watermark may be too old.
func (f functions) until(t testing.TB, payload []byte, cache string) (l line) {
	t.Helper()
	for range 100 {
		wantAnswer(t, "GetUser", invoke(t, f.user, payload), `"statusCode":200`)
		if l = f.one(t, "GetUser"); l.text("Cache") == cache {
			return l
		}
	}
	t.Fatalf("GetUser wrote %s, want %s", l.raw, cache)
	return l
}

// want checks a line's rpc, code and protocol, and that it has the metrics.
func want(t testing.TB, l line, rpc, code, protocol string, metrics ...string) {
	t.Helper()
	if l.text("RPC") != rpc || l.text("Code") != code || l.text("Protocol") != protocol {
		t.Errorf("wrote %s, want %s, %s, protocol %q", l.raw, rpc, code, protocol)
	}
	for _, name := range metrics {
		if _, ok := l.metrics[name]; !ok {
			t.Errorf("%s, %s wrote %s, want the metric %s", rpc, code, l.raw, name)
		}
	}
}

// TestOneLine checks requests that do not reach a service, or do not return from it.
func TestOneLine(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	f := start(t, e, true)
	text := map[string]any{"isBase64Encoded": false, "headers": map[string]string{"content-type": "application/json"}}
	with := func(body string) map[string]any {
		m := maps.Clone(text)
		m["body"] = body
		return m
	}
	for call, test := range map[string]struct {
		payload             []byte
		rpc, code, protocol string
	}{
		"nobody":             {event(t, "UserService/GetUser", &databasev1.GetUserRequest{UserId: "nobody"}), "UserService/GetUser", "not_found", "protobuf"},
		"a missing argument": {event(t, "UserService/GetUser", &databasev1.GetUserRequest{}), "UserService/GetUser", "invalid_argument", "protobuf"},
		"JSON":               {rawEvent(t, "UserService/GetUser", with(`{"user_id":"nobody"}`)), "UserService/GetUser", "not_found", "json"},
		"broken JSON":        {rawEvent(t, "UserService/GetUser", with(`{`)), "UserService/GetUser", "malformed", "json"},
		"not base64":         {rawEvent(t, "UserService/GetUser", map[string]any{"body": "%"}), "none", "malformed", ""},
		"no such method":     {event(t, "UserService/Canary4711", &databasev1.GetUserRequest{}), "UserService/", "bad_route", "protobuf"},
		"no such path":       {rawEvent(t, "/100%", nil), "UserService/", "bad_route", "protobuf"},
		"another protocol":   {rawEvent(t, "UserService/GetUser", map[string]any{"headers": map[string]string{"content-type": "text/canary4711"}}), "UserService/", "bad_route", ""},
		"no headers, GET":    {[]byte(`{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET"}}}`), "UserService/", "bad_route", ""},
	} {
		invoke(t, f.user, test.payload)
		want(t, f.one(t, call), test.rpc, test.code, test.protocol)
	}
	for call, payload := range map[string]string{"a warm-up": `{}`, "a schedule": `{"source":"aws.events","detail-type":"Scheduled Event"}`, "no request": `{"Records":[]}`} {
		invoke(t, f.user, []byte(payload))
		if lines := f.out.take(); len(lines) != 0 {
			t.Errorf("%s wrote %v, want nothing: it is not a request", call, lines)
		}
	}
}

// TestPanic checks a panic of a service, which rpcserver recovers, and of a handler, which the adapter recovers.
func TestPanic(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	f := start(t, e, true)
	edge := f.program.Edge()
	service := databasev1.NewUserServiceServer(struct{ databasev1.UserService }{}, edge.Options()) // every call panics: the interface is nil
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("canary4711") })
	for rpc, h := range map[string]http.Handler{"UserService/GetUser": service, "none": handler} {
		a := lambdahttp.New(slog.New(slog.DiscardHandler), edge.Handler(h)).Finish(f.program.Telemetry.Finish)
		wantAnswer(t, rpc, invoke(t, a, event(t, "UserService/GetUser", &databasev1.GetUserRequest{UserId: "x"})), `"statusCode":500`)
		l := f.one(t, rpc)
		want(t, l, rpc, "internal", l.text("Protocol"))
	}
}

func TestCanary(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	id := e.AddUser(t, "Canary4711")
	_, token := e.AddSession(t, id, time.Hour)
	f := start(t, e, true)
	calls := []proto.Message{
		&databasev1.GetUserRequest{UserId: id}, &databasev1.GetUserByUsernameRequest{Username: "Canary4711"},
		&databasev1.GetUserByEmailRequest{Email: "canary4711@example.com"},
		&databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: token}},
	}
	for range 2 {
		for _, m := range calls {
			method := strings.TrimSuffix(string(m.ProtoReflect().Descriptor().Name()), "Request")
			invoke(t, f.user, event(t, "UserService/"+method, m))
			invoke(t, f.user, rawEvent(t, "UserService/"+method, map[string]any{"isBase64Encoded": false, "body": token}))
		}
		e.PGProxy.Refuse()
		e.RDProxy.Refuse()
	}
	lines := f.out.take()
	if len(lines) != 4*len(calls) {
		t.Errorf("%d lines, want %d", len(lines), 4*len(calls))
	}
	for _, l := range lines {
		for _, secret := range []string{"anary4711", token, "192.0.2.47", "example.com", e.PGProxy.Addr(), e.RDProxy.Addr(), "assumed-role"} {
			if strings.Contains(l.raw, secret) {
				t.Errorf("wrote %s, which leaks %q", l.raw, secret)
			}
		}
	}
}

// TestConcurrentRequests checks concurrent requests, as on Lambda's managed instances: the counts of all lines add up to the work
// done.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	const callers, each = 8, 25
	e := testenv.New(t, testenv.Variants[0], testenv.RedisKinds()[0])
	id := e.AddUser(t, "Alice")
	_, token := e.AddSession(t, id, time.Hour)
	f := start(t, e, true)
	getUser := event(t, "UserService/GetUser", &databasev1.GetUserRequest{UserId: id})
	getSession := event(t, "SessionService/GetSession", &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: token}})
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				invoke(t, f.user, getUser)
				invoke(t, f.session, getSession)
			}
		})
	}
	all.Wait()
	sums, rpcs := map[string]float64{}, map[string]int{}
	for _, l := range f.out.take() {
		rpcs[l.text("RPC")]++
		for name, value := range l.metrics {
			sums[name] += value
		}
	}
	if diff := cmp.Diff(map[string]int{"UserService/GetUser": callers * each, "SessionService/GetSession": callers * each}, rpcs); diff != "" {
		t.Errorf("lines by rpc (-want +got):\n%s", diff)
	}
	c := f.program.Cache.Stats()
	for name, total := range map[string]uint64{
		"Requests": 2 * callers * each, "CacheHits": c.Hits, "CacheMisses": c.Misses, "CacheUntrusted": c.Untrusted, "CacheBypassed": c.Bypassed,
		"CacheFills": c.Fills, "CacheRefusedFills": c.RefusedFills, "CacheSyncs": c.Syncs, "CacheNewEpochs": c.NewEpochs,
	} {
		if sums[name] != float64(total) {
			t.Errorf("the sum of %s is %v, want %d", name, sums[name], total)
		}
	}
	if sums["Statements"] < callers*each || sums["RedisCalls"] == 0 { // hits share calls
		t.Errorf("sums: %v, want a statement of each GetSession, and calls to Redis", sums)
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	f := start(t, testenv.New(t, testenv.Variants[0], "miniredis"), false)
	invoke(t, f.user, event(t, "UserService/GetUser", &databasev1.GetUserRequest{UserId: "nobody"}))
	if lines := f.out.take(); len(lines) != 0 {
		t.Errorf("wrote %v, want nothing", lines)
	}
	if c := f.program.Telemetry; c.Finish != nil || c.Statement != nil || c.Redis != nil || c.Started != nil || c.Requests != nil {
		t.Errorf("telemetry %+v, want none", c)
	}
}

// TestLevel checks the level that Lambda compares with the level of the function's log.
func TestLevel(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{slog.LevelDebug: "INFO", slog.LevelInfo: "INFO", slog.LevelWarn: "WARN", slog.LevelError: "WARN"} {
		out := &output{t: t}
		m := emf.New(emf.Options{To: out, Level: level})
		m.Write(t.Context())
		l := out.take()[0]
		if got := l.text("level"); got != want {
			t.Errorf("level %s: %s, want %s", level, l.raw, want)
		}
		if names := slices.Sorted(maps.Keys(l.metrics)); !slices.Equal(names, []string{"Duration", "Requests"}) || l.text("Code") != "internal" || l.members["Stage"] != nil {
			t.Errorf("without requests it wrote %s", l.raw)
		}
	}
}

// The benchmarks measure an invocation without and with its line of metrics.
func BenchmarkWrite(b *testing.B) {
	e := testenv.New(b, testenv.Variants[0], "miniredis")
	id := e.AddUser(b, "Alice")
	for name, on := range map[string]bool{"off": false, "on": true} {
		b.Run("GetUser hit, "+name, func(b *testing.B) {
			f := start(b, e, on)
			f.out.discard = true
			payload := event(b, "UserService/GetUser", &databasev1.GetUserRequest{UserId: id})
			b.ReportAllocs()
			for b.Loop() {
				invoke(b, f.user, payload)
			}
		})
	}
	b.Run("line", func(b *testing.B) {
		m := emf.New(emf.Options{To: io.Discard, Stage: "live"})
		p := e.Open(b)
		m.Watch(p.Cache, p.DB)
		b.ReportAllocs()
		for b.Loop() {
			m.Redis("hmget", time.Millisecond, false)
			m.Statement(time.Microsecond, time.Millisecond, nil)
			m.Write(context.Background())
		}
	})
}
