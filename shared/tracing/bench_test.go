package tracing_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/services"
	"github.com/osirose-new/database-service/shared/testenv"
)

// sink is a collector that only reads: its work is in this process, and not to be measured.
func sink(b *testing.B) (endpoint string) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	b.Cleanup(s.Close)
	return s.URL
}

// BenchmarkHit is GetUser from Redis, without traces, with them, and where the caller does not record.
func BenchmarkHit(b *testing.B) {
	for _, of := range []struct {
		name, flags string
		on          bool
	}{{"off", "", false}, {"on", "01", true}, {"unsampled", "00", true}} {
		b.Run(of.name, func(b *testing.B) {
			e := testenv.New(b, "plugins", testenv.RedisKinds()[0])
			user := e.AddUser(b, "Player1")
			program := e.Open(b, func(c *app.Options) { c.LogTo, c.LogFormat = io.Discard, "json" })
			handler := services.New(program).Handler(program.Edge())
			if of.on {
				p := open(b, e, sink(b), false)
				p.log.discard = true
				handler = p.handler
			}
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/twirp/"+getUser, strings.NewReader(`{"user_id":"`+user+`"}`))
				r.Header.Set("Content-Type", asJSON)
				if of.flags != "" {
					r.Header["Traceparent"] = traceparent(callersTrace, of.flags)["Traceparent"]
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
