package main

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"google.golang.org/grpc/metadata"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

func askForUser(t *testing.T, p *program, id string) func() {
	return func() { p.post(t, "UserService/GetUser", `{"user_id":"`+id+`"}`) }
}

// newCharacter creates a character of the user. It returns the character's id and a function that reads it. Redis is the only cache
// of characters, so reads become hits there. Reads of users need not: the process may have each of them in its memory.
func newCharacter(t *testing.T, p *program, user, name string) (id string, read func()) {
	t.Helper()
	code, answer := p.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+user+`","name":"`+name+`"}`)
	created, _ := answer["character"].(map[string]any)
	id, _ = created["id"].(string)
	if id == "" {
		t.Fatalf("CreateCharacter: %d %v", code, answer)
	}
	return id, func() { p.post(t, "CharacterDbService/GetCharacter", `{"user_id":"`+user+`","character_id":"`+id+`"}`) }
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	id := e.AddUser(t, "Alice")
	p, admin := startWithAdmin(t, outside(e))
	askForUser := askForUser(t, p, id)
	character, askForCharacter := newCharacter(t, p, id, "First")
	waitForMetrics(t, admin, map[string]float64{
		`cache_reads_total{status="miss"}`: 1, `cache_reads_total{status="hit"}`: 1, `cache_reads_total{status="memory"}`: 1, "cache_memory_syncs_total": 1, "cache_memory_restarts_total": 1,
		"cache_memory_bytes": 256, "cache_fills_total": 1, "cache_syncs_total": 1, "cache_new_epochs_total": 1,
		"cache_watermark_age_seconds": .001, `redis_call_duration_seconds_count{command="pipeline"}`: 2,
		`postgres_statement_duration_seconds_count{class="ok"}`: 1, "postgres_connection_wait_seconds_count": 1,
		`postgres_connections{state="idle"}`: 1, "postgres_max_connections": 16, "go_goroutines": 1, "process_open_fds": 1,
	}, func() { askForUser(); askForCharacter() })

	// The cache refuses to store a value that was invalidated while it was loaded.
	e.Redis.Client.Del(t.Context(), "character:"+character)
	e.PGProxy.OnSend(func([]byte) { e.Redis.Client.Del(t.Context(), "character:"+character) })
	waitForMetrics(t, admin, map[string]float64{"cache_refused_fills_total": 1}, askForCharacter)
	e.PGProxy.OnSend(nil)

	p.post(t, "UserService/GetUser", `{}`)
	p.post(t, "UserService/NoSuchRPC", `{}`)
	p.post(t, "NoSuchService/GetUser", `{}`)
	client := databasev1.NewUserServiceProtobufClient(p.url, http.DefaultClient)
	_, _ = client.GetUser(t.Context(), &databasev1.GetUserRequest{}) // refused: it is counted
	_, _ = getUser(t, p.dial(t), "")
	waitForMetrics(t, admin, map[string]float64{
		`requests_total{code="invalid_argument",protocol="grpc",rpc="UserService/GetUser"}`:     1,
		`requests_total{code="invalid_argument",protocol="json",rpc="UserService/GetUser"}`:     1,
		`requests_total{code="invalid_argument",protocol="protobuf",rpc="UserService/GetUser"}`: 1,
		`requests_total{code="bad_route",protocol="json",rpc="none"}`:                           2,
		`request_duration_seconds_count{protocol="json",rpc="UserService/GetUser"}`:             3,
	}, func() {})
}

// TestMetricsAreNotPublic checks that callers cannot read the metrics at the public port.
func TestMetricsAreNotPublic(t *testing.T) {
	t.Parallel()
	p, admin := startWithAdmin(t, outside(testenv.New(t, "plugins", "miniredis")))
	if code, answer := request(t, http.MethodGet, p.url+"/metrics", ""); code != http.StatusNotFound || answer["code"] != "bad_route" {
		t.Errorf("/metrics on the public port: got %d %v, want Twirp's bad_route", code, answer)
	}
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/other": http.StatusNotFound, "/twirp/osirose.database.v1.UserService/GetUser": http.StatusNotFound,
	} {
		if got, _ := fetch(t, admin+path); got != want {
			t.Errorf("%s on the admin address: got %d, want %d", path, got, want)
		}
	}
	taken := strings.TrimPrefix(admin, "http://")
	second := runToEnd(t, 1, append(outside(testenv.New(t, "plugins", "miniredis")), "ADMIN_ADDR="+taken))
	wantText(t, &second.stderr, "ADMIN_ADDR", "in use")
	wrong := runToEnd(t, 1, []string{"ADMIN_ADDR=hidden"})
	wantText(t, &wrong.stderr, "ADMIN_ADDR")
	if strings.Contains(wrong.stderr.String(), "hidden") {
		t.Errorf("the error repeats the value: %s", &wrong.stderr)
	}
}

// TestMetricsDuringDrain checks that the metrics can be scraped during the shutdown.
func TestMetricsDuringDrain(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + freePort(t)
	b, admin := startBlocked(t, "ADMIN_ADDR="+address), "http://"+address
	b.program.signal(t, syscall.SIGTERM)
	eventually(t, "new connections to be refused", func() bool { return !accepts(b.program.url) })
	if s := scrape(t, admin); s.values["requests_in_flight"] != 1 || s.values[`postgres_connections{state="in_use"}`] != 1 {
		t.Errorf("during one request: %v requests in flight and %v connections in use, want 1 and 1", s.values["requests_in_flight"], s.values[`postgres_connections{state="in_use"}`])
	}
	if code, _ := fetch(t, admin+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz during the shutdown: got %d, want 503", code)
	}
	b.release()
	<-b.answered
	b.program.wantExit(t, 0)
}

func TestMetricsOfRedisThatHangs(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	id := e.AddUser(t, "Alice")
	p, admin := startWithAdmin(t, append(outside(e), realBudgets, "REDIS_URL=redis://"+e.RDProxy.Addr(), "CACHE_MEMORY=0"))
	e.RDProxy.Hold()
	create := func() {
		p.post(t, "CharacterDbService/CreateCharacter", `{"user_id":"`+id+`","name":"Canary","request_id":"00000000-0000-4000-8000-000000000001"}`)
	}
	waitForMetrics(t, admin, map[string]float64{
		"cache_breaker_open": 1, "cache_redis_errors_total": 3, "cache_failed_deletes_total": 1,
		`cache_reads_total{status="untrusted"}`: 1, `cache_reads_total{status="bypassed"}`: 1, `redis_unanswered_calls_total{command="pipeline"}`: 1,
	}, func() { askForUser(t, p, id)(); create() })
	e.RDProxy.Release()
	eventually(t, "the breaker to close", func() bool {
		askForUser(t, p, id)()
		return scrape(t, admin).values["cache_breaker_open"] == 0
	})
}

func TestMetricsOfPostgresThatHangs(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	p, admin := startWithAdmin(t, append(outside(e), realBudgets, "DATABASE_URL="+e.Program.Config.DatabaseURL+"&pool_max_conns=1"))
	ask := func() { p.post(t, "SessionService/GetSession", `{"token":"none"}`) }
	ask() // the process learns how tokens are stored
	e.PGProxy.Hold()
	var all sync.WaitGroup
	more := func() {
		for range 4 {
			all.Go(ask)
		}
	}
	waitForMetrics(t, admin, map[string]float64{
		"requests_in_flight": 2, `postgres_connections{state="in_use"}`: 1, "postgres_waiting_statements": 1, "postgres_refused_statements_total": 1,
		`postgres_statement_duration_seconds_count{class="unavailable"}`:                     1,
		`requests_total{code="unavailable",protocol="json",rpc="SessionService/GetSession"}`: 1,
	}, more)
	all.Wait()
	e.PGProxy.Release()
	e.PGProxy.Refuse()
	before := scrape(t, admin).values[`postgres_statement_duration_seconds_count{class="unavailable"}`]
	waitForMetrics(t, admin, map[string]float64{`postgres_statement_duration_seconds_count{class="unavailable"}`: before + 1}, ask)
}

// TestMetricsHoldNoCallerData checks that the metrics contain no data of requests and of users.
func TestMetricsHoldNoCallerData(t *testing.T) {
	t.Parallel()
	s, canaries := scrapeEverything(t)
	for _, canary := range canaries {
		if strings.Contains(strings.ToLower(s.text), strings.ToLower(canary)) {
			t.Errorf("%q is in the metrics", canary)
		}
	}
	if found := regexp.MustCompile(`@|\d+\.\d+\.\d+\.\d+|\[?::1`).FindAllString(s.text, -1); found != nil {
		t.Errorf("addresses are in the metrics: %q", found)
	}
	problems, err := promlint.New(strings.NewReader(s.text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// scrapeEverything scrapes after calls with canaries in every part of a request.
func scrapeEverything(t *testing.T) (scraped, []string) {
	t.Helper()
	const canary = "Zcanaryz"
	e := testenv.New(t, "plugins", testenv.RedisKinds()[0])
	id := e.AddUser(t, canary)
	session, token := e.AddSession(t, id, time.Hour)
	p, admin := startWithAdmin(t, outside(e))
	for rpc, body := range map[string]string{
		"UserService/GetUser": `{"user_id":"` + id + `"}`, "UserService/GetUserByUsername": `{"username":"` + canary + `"}`,
		"UserService/GetUserByEmail": `{"email":"` + canary + `@example.com"}`, "UserService/GetUserBySession": `{"token":"` + token + `"}`,
		"SessionService/GetSession": `{"session_id":"` + session + `"}`, "SessionService/RefreshSession": `{"token":"` + token + `.` + canary + `"}`,
		"CharacterDbService/CreateCharacter": `{"user_id":"` + id + `","name":"` + canary + `","request_id":"00000000-0000-4000-8000-000000000001"}`,
		"CharacterDbService/GetCharacter":    `{"character_id":"` + canary + `"}`, "UserService/" + canary: "{}", canary + "/x?" + canary: canary,
	} {
		p.post(t, rpc, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), canary, p.url+"/twirp/"+canary, strings.NewReader(canary))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"User-Agent", "Content-Type", "X-Forwarded-For", "Authorization", canary} {
		r.Header.Set(name, canary+" 203.0.113.9")
	}
	if answer, err := http.DefaultClient.Do(r); err == nil {
		_ = answer.Body.Close()
	}
	protocol := p.dial(t)
	for _, method := range []string{"/osirose.database.v1.UserService/" + canary, "/" + canary + "/GetUser", "/osirose.database.v1.UserService/GetUser"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), canary, canary, "authorization", canary)
		_ = protocol.Invoke(ctx, method, &databasev1.GetUserRequest{UserId: canary}, &databasev1.GetUserResponse{}) // refused: it is counted
	}
	return scrape(t, admin), []string{canary, id, session, token, "example.com", "203.0.113"}
}
