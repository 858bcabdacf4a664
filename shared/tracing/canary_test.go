package tracing_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

const (
	userService   = "osirose.database.v1.UserService/"
	sessionRPCs   = "osirose.database.v1.SessionService/"
	characterRPCs = "osirose.database.v1.CharacterDbService/"
)

// TestCanary makes hits, misses, errors, violated constraints and calls to stopped servers. It checks that no canary is
// in any byte that was sent to the collector.
func TestCanary(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		c := startCollector(t)
		p := open(t, e, c.endpoint(), false)
		url := serve(t, p.handler)
		user := e.AddUser(t, "Canary4711")
		_, token := e.AddSession(t, user, time.Hour)
		cookie := token + ".c2lnbmF0dXJlY2FuYXJ5"
		header := http.Header{"Cookie": {"better-auth.session_token=" + cookie}, "User-Agent": {"agentcanary/1"}, "X-Forwarded-For": {"203.0.113.77"}}
		requests := canaryCalls(user, token, cookie)
		sent := 0
		round := func() {
			for _, r := range requests {
				for _, contentType := range []string{asProtobuf, asJSON} {
					call(t, url, r.rpc, contentType, header, r.message)
					sent++
				}
			}
			for _, body := range []string{`{"token":"` + token, token} {
				send(t, url+sessionRPCs+"GetSession", asJSON, header, []byte(body))
				sent++
			}
		}
		round()
		round()
		if e.Redis.Mini == nil {
			holdScriptErrors(t, e)
			round()
		}
		e.PGProxy.Reset()
		e.RDProxy.Reset()
		round()
		e.PGProxy.Refuse()
		e.RDProxy.Refuse()
		e.PGProxy.Reset()
		e.RDProxy.Reset()
		round()
		_, answer, _ := call(t, url, getUser, asJSON, nil, &databasev1.GetUserRequest{UserId: user})
		last, _, _ := splitTrace(t, answer.Get("traceresponse"))
		c.trace(last)
		if _, spans := c.counts(); spans <= sent {
			t.Errorf("%d spans of %d requests, want more", spans, sent)
		}
		wantNone(t, c, token, cookie, "c2lnbmF0dXJl", "canary", "4711", "example.com", "127.0.0.1", "203.0.113.77", e.Name,
			"game_service", "web_application", testenv.Secret, user, p.Config.DatabaseURL, p.Config.RedisURL)
	})
}

type canaryCall struct {
	rpc     string
	message proto.Message
}

func canaryCalls(user, token, cookie string) []canaryCall {
	const email, name = "canary4711@example.com", "Canary4711"
	byToken := func(s string) *databasev1.GetSessionRequest {
		return &databasev1.GetSessionRequest{Session: &databasev1.GetSessionRequest_Token{Token: s}}
	}
	return []canaryCall{
		{userService + "GetUser", &databasev1.GetUserRequest{UserId: user}},
		{userService + "GetUser", &databasev1.GetUserRequest{UserId: email}},
		{userService + "GetUserByUsername", &databasev1.GetUserByUsernameRequest{Username: name}},
		{userService + "GetUserByEmail", &databasev1.GetUserByEmailRequest{Email: email}},
		{userService + "GetUserByEmail", &databasev1.GetUserByEmailRequest{Email: "nobody" + email}},
		{userService + "GetUserBySession", &databasev1.GetUserBySessionRequest{Session: &databasev1.GetUserBySessionRequest_Token{Token: cookie}}},
		{sessionRPCs + "GetSession", byToken(token)},
		{sessionRPCs + "GetSession", byToken(cookie)},
		{sessionRPCs + "GetSession", byToken("canary" + token[6:])},
		{sessionRPCs + "RefreshSession", &databasev1.RefreshSessionRequest{Session: &databasev1.RefreshSessionRequest_Token{Token: token}}},
		{characterRPCs + "CreateCharacter", &databasev1.CreateCharacterRequest{UserId: user, Name: "Canary-Name"}}, // then the name is taken
		{characterRPCs + "CreateCharacter", &databasev1.CreateCharacterRequest{UserId: "canary-nobody", Name: "Canary-Other"}},
		{characterRPCs + "GetCharacterList", &databasev1.GetCharacterListRequest{UserId: user}},
		{characterRPCs + "SaveCharacter", &databasev1.SaveCharacterRequest{UserId: user, CharacterId: 1, ExpectedVersion: 1, Level: proto.Int32(2)}},
		{characterRPCs + "SaveCharacter", &databasev1.SaveCharacterRequest{UserId: user, CharacterId: 1, ExpectedVersion: 9, Level: proto.Int32(2)}},
	}
}

// holdScriptErrors makes Redis answer with errors that contain keys: it changes the type of every value.
func holdScriptErrors(t testing.TB, e *testenv.Env) {
	t.Helper()
	keys, err := e.Redis.Client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("KEYS = %v, %v, want some", keys, err)
	}
	for _, key := range keys {
		if err := e.Redis.Client.Set(t.Context(), key, "canary-value", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func wantNone(t testing.TB, c *collector, canaries ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := bytes.ToLower(c.raw.Bytes())
	for _, s := range canaries {
		if at := bytes.Index(all, []byte(strings.ToLower(s))); at >= 0 {
			t.Errorf("%q was sent to the collector: %q", s, all[max(0, at-100):min(len(all), at+100)])
		}
	}
}

// TestLibraries puts data into spans as libraries can, and checks that none of it is sent.
func TestLibraries(t *testing.T) {
	t.Parallel()
	e, c := testenv.New(t, "plugins", "miniredis"), startCollector(t)
	p := open(t, e, c.endpoint(), false)
	tracer := p.traces.Provider().Tracer("library")
	ctx, root := tracer.Start(t.Context(), "root", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("db.statement", "set canary"), attribute.String("server.address", "10.0.0.canary"), attribute.Int("net.peer.port", 4711),
		attribute.StringSlice("any", []string{"canary"})), trace.WithLinks(trace.Link{Attributes: []attribute.KeyValue{attribute.String("x", "canary")}}))
	root.RecordError(errors.New("canary"), trace.WithStackTrace(true))
	root.AddEvent("canary")
	root.SetStatus(codes.Error, "canary")

	config, err := pgx.ParseConfig("postgres://game_service@" + e.PGProxy.Addr() + "/" + e.Name + "?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	config.Tracer = otelpgx.NewTracer(otelpgx.WithTracerProvider(p.traces.Provider()), otelpgx.WithIncludeQueryParameters())
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT $1::text::integer", "canary4711"); err == nil {
		t.Error("no error of PostgreSQL, want an error that contains the value")
	}
	root.End()
	c.trace(root.SpanContext().TraceID().String())
	if _, spans := c.counts(); spans < 3 {
		t.Errorf("%d spans, want the library's spans too", spans)
	}
	wantNone(t, c, "canary", "127.0.0.1", "4711", e.Name, "game_service", "goroutine", ".go:")
}
