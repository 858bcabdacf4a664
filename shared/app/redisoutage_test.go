package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/testenv"
)

// TestFunctionSaysThatRedisDoesNotAnswer opens functions whose Redis never answers, in the ways that operators have. Each logs
// one line about it, which says why and has no address and no password.
func TestFunctionSaysThatRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	var databaseURL string
	e.Open(t, func(o *app.Options) { databaseURL = o.DatabaseURL })
	nothing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nothing.Close() // its port refuses connections
	silent := serveConns(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	hangsUp := serveConns(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1<<10))
		_ = c.Close()
	})
	web := serveConns(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1<<10))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_ = c.Close()
	})
	sentences := testenv.CollectSentences(t, "Log: Redis does not answer")
	for name, test := range map[string]struct{ url, want string }{
		"refused":  {"redis://:s3cret@" + nothing.Addr().String(), "connection refused"},
		"silent":   {"redis://:s3cret@" + silent, "timeout"},
		"hangs up": {"redis://:s3cret@" + hangsUp, "if the port speaks TLS"},
		"web":      {"redis://:s3cret@" + web, "no reply of Redis"},
		"no TLS":   {"rediss://:s3cret@" + silent, "if the port speaks no TLS"},
		"cluster":  {"redis://:s3cret@" + nothing.Addr().String() + "?cluster=true", "connection refused"},
	} {
		var log bytes.Buffer
		p, err := app.OpenFunction(environment(map[string]string{"DATABASE_URL": databaseURL, "REDIS_URL": test.url}), &log, 1)
		if err != nil {
			t.Fatal(err)
		}
		player := newPlayer(t, e, serveAll(t, io.Discard, p), "user"+strings.ReplaceAll(name, " ", ""))
		for range 5 {
			if got, err := call(t.Context(), player, player.users.GetUser, &databasev1.GetUserRequest{UserId: player.id}); err != nil || got.User.Id != player.id {
				t.Errorf("%s: GetUser = %v, %v, want the user", name, got, err)
			}
		}
		p.Close()
		var line struct{ Level, Msg, Cause string }
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Level != "WARN" || !strings.Contains(line.Cause, test.want) {
			t.Errorf("%s: the log is %q (%v), want one warning with the cause %q", name, log.String(), err, test.want)
		}
		if text := log.String(); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "s3cret") {
			t.Errorf("%s: the log is %q, want no address and no password", name, text)
		}
		sentences.Add(line.Msg + "; cause: " + line.Cause)
	}
}
