package lambdahttp

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// userARN returns the ARN of the IAM principal. It comes from the gateway; a client cannot set it.
func (e *event) userARN() string {
	if e.kind == v2 {
		return text(gjson.Get(e.authorizer, "iam.userArn").Raw)
	}
	return e.identity
}

// strip removes the headers in which code would look for a verified caller, address or request id: a client can send each of
// them. What the handler may trust is in the request's RemoteAddr and record.
func strip(h http.Header) {
	for name := range h {
		switch name {
		case "Forwarded", "X-Forwarded-For", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
			"X-Forwarded-Preferred-Username", "X-Forwarded-Client-Cert", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
			"True-Client-Ip", "Remote-User", "X-Remote-User", "X-Request-Id", "X-Correlation-Id", "X-Amz-Cf-Id":
			delete(h, name)
		default:
			// X-Amzn-Requestid, -Trace-Id, -Oidc-*, -Request-Context, -Lambda-Context, and names that AWS may add.
			if strings.HasPrefix(name, "X-Amzn-") || strings.HasPrefix(name, "X-Apigateway-") {
				delete(h, name)
			}
		}
	}
}
