package lambdahttp

import (
	"context"
	"net/http"
	"strings"
)

// Caller is what the gateway itself says of a request. A client can claim none of it.
type Caller struct {
	Gateway   string // "2.0": HTTP API or Function URL; "1.0": REST API or payload 1.0; "alb"
	RequestID string // the gateway's own; the log lines have Lambda's
	Stage     string
	SourceIP  string
	Identity  string            // the ARN of who signed the request, where the gateway checks IAM
	Claims    map[string]string // of the token that the gateway checked; a value that is no text is JSON
}

type callerKey struct{}

// CallerOf returns the Caller of the request with the context ctx: empty outside Lambda, and but for Gateway behind a load
// balancer, which says nothing of the kind.
func CallerOf(ctx context.Context) Caller {
	e, ok := ctx.Value(callerKey{}).(*event)
	if !ok {
		return Caller{}
	}
	switch e.kind {
	case v2:
		identity, claims := "", map[string]string(nil)
		members(e.authorizer, func(name, value string) {
			switch name {
			case "iam":
				members(value, func(name, value string) {
					if name == "userArn" {
						identity = text(value)
					}
				})
			case "jwt":
				claims = claimsOf(value)
			}
		})
		return Caller{"2.0", e.requestID, e.stage, e.sourceIP, identity, claims}
	case v1:
		return Caller{"1.0", e.requestID, e.stage, e.sourceIP, e.identity, claimsOf(e.authorizer)}
	default:
		return Caller{Gateway: "alb"}
	}
}

// caller names who signed the request, for the log: user/NAME, or assumed-role/NAME without the name of the session, which
// often is somebody's e-mail address.
func (e *event) caller() string {
	arn := strings.SplitN(CallerOf(context.WithValue(context.Background(), callerKey{}, e)).Identity, ":", 6)
	if len(arn) < 6 {
		return ""
	}
	kind, name, _ := strings.Cut(arn[5], "/")
	if kind == "assumed-role" {
		name, _, _ = strings.Cut(name, "/")
	}
	if kind == "" || name == "" || strings.Contains(name, "@") {
		return kind
	}
	return kind + "/" + name
}

// claimsOf reads the member claims.
func claimsOf(raw string) (claims map[string]string) {
	members(raw, func(name, value string) {
		if name == "claims" && isObject(value) {
			claims = map[string]string{}
			members(value, func(name, value string) {
				if strings.HasPrefix(value, `"`) {
					value = text(value)
				}
				claims[name] = value
			})
		}
	})
	return claims
}

// strip takes out the headers in which code would look for what [Caller] has, for a client can send each of them. What a
// gateway adds to them, requestContext has too; the trace is in the context of the invocation.
func strip(h http.Header) {
	for name := range h {
		switch name {
		case "Forwarded", "X-Forwarded-For", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
			"X-Forwarded-Preferred-Username", "X-Forwarded-Client-Cert", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
			"True-Client-Ip", "Remote-User", "X-Remote-User", "X-Request-Id", "X-Correlation-Id", "X-Amz-Cf-Id":
			delete(h, name)
		default:
			// Amzn: Requestid, Trace-Id, Oidc-*, Request-Context, Lambda-Context and whatever will be named so.
			if strings.HasPrefix(name, "X-Amzn-") || strings.HasPrefix(name, "X-Apigateway-") {
				delete(h, name)
			}
		}
	}
}
