package calls_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/calls"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// BenchmarkRecord compares requests that are not recorded with recorded ones.
func BenchmarkRecord(b *testing.B) {
	for name, o := range map[string]calls.Options{"off": {}, "on": {Always: true}, "payloads": {Always: true, Payloads: true}} {
		b.Run(name, func(b *testing.B) {
			edge := rpcserver.New(slog.New(slog.DiscardHandler))
			handler := edge.Handler(databasev1.NewUserServiceServer(fake{name: "Ada"}, edge.Options()))
			calls.NewRecorder(edge, o)
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequestWithContext(context.Background(), "POST", "/twirp/osirose.database.v1."+getUser, strings.NewReader("\x0a\x03ada"))
				r.Header.Set("Content-Type", "application/protobuf")
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
