package lambdahttp_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/osirose-new/database-service/shared/lambdahttp"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestCallerInLog checks the name of the signer in the log: the IAM principal, never the name of its session, which is an
// e-mail address with single sign-on.
func TestCallerInLog(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:iam::123456789012:user/game-server":                                                 "user/game-server",
		"arn:aws:iam::123456789012:user/europe/game-server":                                          "user/europe/game-server",
		"arn:aws:iam::123456789012:user/canary4711@example.com":                                      "user",
		"arn:aws:iam::123456789012:root":                                                             "root",
		"arn:aws:sts::123456789012:assumed-role/game-server/i-0123456789abcdef0":                     "assumed-role/game-server",
		"arn:aws:sts::123456789012:assumed-role/game-server/canary4711@example.com":                  "assumed-role/game-server",
		"arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/canary4711@ex": "assumed-role/AWSReservedSSO_Admin_0123456789abcdef",
		"arn:aws-cn:sts::123456789012:assumed-role/game/a/canary4711":                                "assumed-role/game",
		"arn:aws:sts::123456789012:assumed-role/game:colon/canary4711":                               "assumed-role/game:colon",
		"arn:aws:sts::123456789012:federated-user/canary4711@example.com":                            "federated-user",
		"arn:aws:sts::123456789012:assumed-role/":                                                    "assumed-role",
		"":                                  "curl/8.5.0",
		"canary4711@example.com":            "curl/8.5.0",
		"arn:aws:iam::canary4711":           "curl/8.5.0",
		"arn:aws:iam::123456789012:":        "curl/8.5.0",
		"arn:aws:iam::123456789012:/canary": "curl/8.5.0",
	} {
		headers := map[string]string{"user-agent": "curl/8.5.0 canary4711", "content-type": "application/json"}
		v2, v1 := v2Event(), v1Event()
		v2.Headers, v1.Headers = headers, headers
		v2.RequestContext.Authorizer = signedBy(arn)
		v1.RequestContext.Identity.UserArn = arn
		v1.RequestContext.Identity.SourceIP, v2.RequestContext.HTTP.SourceIP = "192.0.2.47", "192.0.2.47"
		for kind, event := range map[string]any{"v2": v2, "v1": v1} {
			got, raw := loggedCaller(t, event)
			if got != want || strings.Contains(raw, "canary") || strings.Contains(raw, "192.0.2.47") {
				t.Errorf("%s, %q: logged %s, want caller %q", kind, arn, raw, want)
			}
		}
	}
}

// signedBy returns an HTTP API's authorizer for the principal that signed a request.
func signedBy(arn string) *events.APIGatewayV2HTTPRequestContextAuthorizerDescription {
	return &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: arn},
	}
}

// loggedCaller runs an event through the edge and returns the caller in its log line.
func loggedCaller(t *testing.T, event any) (caller, raw string) {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	edge := rpcserver.New(slog.New(slog.NewJSONHandler(&log, nil)))
	adapter := lambdahttp.New(slog.New(slog.DiscardHandler), edge.Handler(http.HandlerFunc(rpcserver.NotFound)))
	if _, err := adapter.Invoke(t.Context(), payload); err != nil {
		t.Fatal(err)
	}
	var line struct{ Caller string }
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatalf("logged %s: %v", log.String(), err)
	}
	return line.Caller, log.String()
}
