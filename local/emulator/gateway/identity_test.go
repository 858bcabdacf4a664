package gateway

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// TestGatewayIdentity checks who called, in the events of requests with and without a signature. Functions refuse events without
// an identity, so an API that requires a signature must always send one.
func TestGatewayIdentity(t *testing.T) {
	t.Parallel()
	const role, user = "arn:aws:sts::123456789012:assumed-role/emulator/unsigned", "arn:aws:iam::123456789012:user/AKIAEXAMPLE"
	for name, test := range map[string]struct {
		kind      Kind
		iam       bool
		signature string
		want      string
	}{
		"HTTP API":                               {HTTPAPI, true, "", role},
		"HTTP API, signed":                       {HTTPAPI, true, "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/x", user},
		"HTTP API, another scheme":               {HTTPAPI, true, "Bearer AKIAEXAMPLE", role},
		"HTTP API without an authorizer":         {HTTPAPI, false, "", ""},
		"REST API":                               {RESTAPI, true, "", role},
		"REST API, signed":                       {RESTAPI, true, "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/x", user},
		"REST API without an authorizer":         {RESTAPI, false, "", ""},
		"function URL":                           {FunctionURL, false, "", ""},
		"function URL, signed":                   {FunctionURL, false, "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/x", user},
		"load balancer, which checks nothing":    {ALB, false, "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/x", ""},
		"load balancer, with multi-value header": {ALBMulti, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := eventOf(t, Config{IAM: map[Kind]bool{test.kind: test.iam}}, httpRequest("",
				"POST /_gateway/"+string(test.kind)+"/x HTTP/1.1", "Host: x", "Content-Length: 0", "Authorization: "+test.signature))
			if got := userOf(t, test.kind, event); got != test.want {
				t.Errorf("the caller is %q, want %q in %s", got, test.want, event)
			}
		})
	}
}

// userOf returns the ARN of the caller in an event.
func userOf(t *testing.T, kind Kind, event string) string {
	t.Helper()
	if kind == HTTPAPI || kind == FunctionURL {
		if by := unmarshal[events.APIGatewayV2HTTPRequest](t, event).RequestContext.Authorizer; by != nil {
			return by.IAM.UserARN
		}
		return ""
	}
	return unmarshal[events.APIGatewayProxyRequest](t, event).RequestContext.Identity.UserArn
}
