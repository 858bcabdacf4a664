package rpcserver_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/osirose-new/database-service/shared/testenv"
)

// TestCanary sends a live token and an e-mail through every rpc and every field, with working and broken backends.
// Neither may be in the log, in an error or in Redis.
func TestCanary(t *testing.T) {
	t.Parallel()
	testenv.EachRedis(t, func(t *testing.T, e *testenv.Env) {
		user := e.AddUser(t, "Canary4711")
		_, token := e.AddSession(t, user, time.Hour)
		secrets := []string{token, "canary4711@example.com", url.QueryEscape("canary4711@example.com"), "anary4711", testenv.Secret}
		addresses := []string{
			e.PGProxy.Addr(), e.RDProxy.Addr(), e.Redis.Addr, testenv.Postgres(t).Addr(), e.Name, "game_service", "web_application",
			e.Program.Config.DatabaseURL, e.Program.Config.RedisURL,
		}
		var log buffer
		var sent atomic.Int64
		t.Cleanup(func() { // after the server has closed
			n := int64(0)
			for raw := range strings.Lines(log.String()) {
				n++
				if got := parseLine(t, raw); got.Code == "" || got.RPC == "" {
					t.Errorf("logged %s, want a code and an rpc", raw)
				}
				for _, s := range append(secrets, addresses...) {
					if strings.Contains(strings.ToLower(raw), strings.ToLower(s)) {
						t.Errorf("logged %s, which leaks %q", raw, s)
					}
				}
			}
			if n != sent.Load() {
				t.Errorf("%d lines logged, want one for each of %d requests", n, sent.Load())
			}
		})
		all := methods(t, e, serveAll(t, &log, e.Program))
		round := func(what string, down bool) {
			for name, m := range all {
				requests := []proto.Message{m.valid(t)}
				for _, s := range []string{token, token + ".c2lnbmF0dXJl", "canary4711@example.com", "Canary4711"} {
					requests = append(requests, withText(m.valid, t, s)...)
				}
				for _, r := range requests {
					for contentType, body := range encode(t, r) {
						call := fmt.Sprintf("%s, %s: %s", what, name, contentType)
						a := postOnce(t, m.path, contentType, body)
						sent.Add(1)
						wantNoLeak(t, call, a, append(secrets, addresses...)...)
						if a.Code == twirp.Unavailable {
							wantAnswer(t, call, a, twirp.Unavailable, "DATABASE_UNAVAILABLE", "")
						} else if a.Status >= http.StatusInternalServerError {
							t.Errorf("%s = %v, want no internal error", call, a)
						}
					}
				}
				if a := postOnce(t, m.path, asProtobuf, encode(t, m.valid(t))[asProtobuf]); down && a.Code != twirp.Unavailable {
					t.Errorf("%s: %s = %v, want %s", what, name, a, twirp.Unavailable)
				}
				sent.Add(1)
				postOnce(t, m.path, asJSON, `{"token":"`+token) // broken off
				postOnce(t, m.path, "text/plain", token)
				sent.Add(2)
			}
		}
		for _, m := range all { // valid requests: the token is only in the token field
			for contentType, body := range encode(t, m.valid(t)) {
				postOnce(t, m.path, contentType, body)
				sent.Add(1)
			}
		}
		scanRedis(t, e, token)
		round("all well", false)
		e.PGProxy.Refuse()
		e.RDProxy.Refuse()
		round("neither server there", true)
	})
}

// withText returns requests that each have s in one text field of the first level.
func withText(valid func(testing.TB) proto.Message, t testing.TB, s string) []proto.Message {
	t.Helper()
	var all []proto.Message
	fields := valid(t).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Kind() == protoreflect.StringKind {
			all = append(all, with(valid(t), []protoreflect.FieldDescriptor{f}, protoreflect.ValueOfString(s)))
		}
	}
	return all
}

// scanRedis checks that no key in Redis contains the token or an e-mail, and that no value contains the token.
func scanRedis(t testing.TB, e *testenv.Env, token string) {
	t.Helper()
	c := e.Redis.Client
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("KEYS = %v, %v, want some", keys, err)
	}
	for _, key := range keys {
		var value any
		switch kind := c.Type(t.Context(), key).Val(); kind {
		case "string":
			value, err = c.Get(t.Context(), key).Result()
		case "hash":
			value, err = c.HGetAll(t.Context(), key).Result()
		default:
			t.Errorf("Redis contains %q of type %s, which scanRedis does not read: add it", key, kind)
		}
		held := fmt.Sprint(key, " = ", value)
		if err != nil || strings.Contains(held, token) || strings.Contains(key, "@") {
			t.Errorf("Redis contains %.200q, %v, want no token anywhere and no e-mail in a key", held, err)
		}
	}
}
