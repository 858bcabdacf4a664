package tracing_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/shared/testenv"
)

// BenchmarkHit is GetUser from Redis, without traces, with them, and where the caller does not record.
func BenchmarkHit(b *testing.B) {
	for _, of := range []struct {
		name, flags string
		on          bool
	}{{"off", "", false}, {"on", "01", true}, {"unsampled", "00", true}} {
		b.Run(of.name, func(b *testing.B) {
			e := testenv.New(b, "plugins", testenv.RedisKinds()[0])
			user := e.AddUser(b, "Player1")
			handler := allServices(e.Program)
			if of.on {
				handler = open(b, e, startCollector(b).endpoint(), false).handler
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
