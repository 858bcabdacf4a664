package lambdahttp_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"
	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/request"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestFinish checks the record of a request at its end.
func TestFinish(t *testing.T) {
	t.Parallel()
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	handlers := map[string]http.Handler{
		"found": edge.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), "none": edge.Handler(http.HandlerFunc(rpcserver.NotFound)),
		"panic": edge.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("canary") })),
	}
	const event = `{"version":"2.0","headers":{"content-type":"application/json"}}`
	for _, test := range []struct {
		handler, payload string
		want             []request.Class
	}{
		{"found", event, []request.Class{{Protocol: request.JSON, Code: "ok"}}},
		{"none", event, []request.Class{{Protocol: request.JSON, Code: twirp.BadRoute}}},
		{"panic", event, []request.Class{{Code: twirp.Internal}}},
		{"found", `{"version":"2.0","body":"%","isBase64Encoded":true}`, []request.Class{{Code: twirp.Malformed}}},
		{"found", `{}`, nil},
		{"found", `{"Records":[]}`, nil},
	} {
		var got []request.Class
		adapter := lambdahttp.New(slog.New(slog.DiscardHandler), handlers[test.handler]).Finish(func(ctx context.Context) {
			record := request.From(ctx)
			if record.ID != requestID {
				t.Errorf("%s: request id %q, want %s", test.payload, record.ID, requestID)
			}
			got = append(got, record.Class)
		})
		for _, ctx := range []context.Context{ // Lambda's, and an emulator's
			lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: requestID}),
			request.With(t.Context(), &request.Record{ID: requestID}),
		} {
			got = nil
			_, _ = adapter.Invoke(ctx, []byte(test.payload)) // an error if the event is not a request
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", test.handler, test.payload, diff)
			}
		}
	}
}
