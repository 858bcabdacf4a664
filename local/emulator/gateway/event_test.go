package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// eventOf sends a request and returns the event that the function got. Random ids are replaced by constants.
func eventOf(t *testing.T, c Config, request string) string {
	t.Helper()
	got := make(chan string, 1)
	f := Function(func(_ context.Context, _ Kind, _ string, event []byte) Result {
		got <- string(event)
		return Result{Payload: []byte(`{"statusCode":200,"headers":{},"body":""}`)}
	})
	if c.Routes == nil {
		c.Routes = everything(nil)
	}
	routes := map[Kind][]Route{}
	for kind, list := range c.Routes {
		for _, r := range list {
			r.Function = f
			routes[kind] = append(routes[kind], r)
		}
	}
	c.Routes = routes
	if r, body := exchange(t, serve(t, c), request); r.StatusCode != 200 {
		t.Fatalf("the gateway answers %d %s, want 200", r.StatusCode, body)
	}
	return sameIDs(<-got)
}

func sameIDs(event string) string {
	for _, of := range []string{`("(?:requestId|extendedRequestId)": ?)"[^"]+"`, `((?:Root|Self)=1-[0-9a-f]{8})-[0-9a-f]{24}`} {
		with := `$1-0`
		if strings.HasPrefix(of, "(\"") {
			with = `$1"id"`
		}
		event = regexp.MustCompile(of).ReplaceAllString(event, with)
	}
	return event
}

func routesOf(kind Kind, method, path string) map[Kind][]Route {
	return map[Kind][]Route{kind: {{method, path, nil, "UserFunction"}}}
}

const twirpRoute = "/twirp/osirose.database.v1.UserService/{method}"

// TestGatewayEvent compares whole events with files written from AWS's documentation and from recorded events.
func TestGatewayEvent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind  Kind
		stage string
	}{
		"v2":       {HTTPAPI, ""},
		"v2-stage": {HTTPAPI, "live"},
		"v1":       {RESTAPI, ""},
		"furl":     {FunctionURL, "live"}, // a function URL has no stage
		"alb":      {ALB, ""}, "alb-multi": {ALBMulti, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := eventOf(t, Config{
				Routes: routesOf(test.kind, "POST", twirpRoute), Stages: map[Kind]string{test.kind: test.stage},
				BinaryTypes: []string{"application~1protobuf"},
			}, httpRequest("\x0a\x04mara\xff",
				"POST /_gateway/"+string(test.kind)+"/twirp/osirose.database.v1.UserService/Get%20User?b=2&a=1&a=x%20y+z&empty HTTP/1.1",
				"Host: db.example.com", "Content-Type: application/protobuf", "Content-Length: 7", "accept: application/protobuf",
				"User-Agent: test/1", "Cookie: a=1; b=2", "Cookie: c=3", "X-Many: one", "X-Many: two, with a comma", "X-Html: <&>",
				"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http", "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793",
				"Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=00",
				"X-Emulator-Gateway: "+string(test.kind), "X-Hop: gone", "Te: trailers", "Connection: close, X-Hop"))
			file := filepath.Join("testdata", name+".json")
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(unmarshal[any](t, string(want)), unmarshal[any](t, got)); diff != "" {
				t.Errorf("the event differs from %s:\n%s", file, diff)
			}
		})
	}
}

func unmarshal[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestGatewayEventTypes reads the events with AWS's own Go types.
func TestGatewayEventTypes(t *testing.T) {
	t.Parallel()
	request := func(kind Kind) string {
		return httpRequest("hello", "PUT /_gateway/"+string(kind)+"/a/b?q=1 HTTP/1.1", "Host: x", "Content-Length: 5", "Content-Type: text/plain", "X-A: b",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261122/us-east-1/execute-api/aws4_request, Signature=00")
	}
	type seen struct{ Method, Path, Parameter, Query, Header, Body, ARN, IP string }
	want := seen{"PUT", "/a/b", "a/b", "1", "b", "hello", "arn:aws:iam::123456789012:user/AKIAEXAMPLE", "127.0.0.1"}

	v2 := unmarshal[events.APIGatewayV2HTTPRequest](t, eventOf(t, Config{}, request(HTTPAPI)))
	got := seen{v2.RequestContext.HTTP.Method, v2.RawPath, v2.PathParameters["proxy"], v2.QueryStringParameters["q"], v2.Headers["x-a"], v2.Body, v2.RequestContext.Authorizer.IAM.UserARN, v2.RequestContext.HTTP.SourceIP}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("HTTP API: %s", diff)
	}

	v1 := unmarshal[events.APIGatewayProxyRequest](t, eventOf(t, Config{}, request(RESTAPI)))
	got = seen{v1.HTTPMethod, v1.Path, v1.PathParameters["proxy"], v1.QueryStringParameters["q"], v1.Headers["X-A"], v1.Body, v1.RequestContext.Identity.UserArn, v1.RequestContext.Identity.SourceIP}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("REST API: %s", diff)
	}

	furl := unmarshal[events.LambdaFunctionURLRequest](t, eventOf(t, Config{}, request(FunctionURL)))
	got = seen{furl.RequestContext.HTTP.Method, furl.RawPath, "a/b", furl.QueryStringParameters["q"], furl.Headers["x-a"], furl.Body, furl.RequestContext.Authorizer.IAM.UserARN, furl.RequestContext.HTTP.SourceIP}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("function URL: %s", diff)
	}

	alb := unmarshal[events.ALBTargetGroupRequest](t, eventOf(t, Config{}, request(ALB)))
	got = seen{alb.HTTPMethod, alb.Path, "a/b", alb.QueryStringParameters["q"], alb.Headers["x-a"], alb.Body, want.ARN, alb.Headers["x-forwarded-for"]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ALB: %s", diff)
	}
	alb = unmarshal[events.ALBTargetGroupRequest](t, eventOf(t, Config{}, request(ALBMulti)))
	got = seen{alb.HTTPMethod, alb.Path, "a/b", alb.MultiValueQueryStringParameters["q"][0], alb.MultiValueHeaders["x-a"][0], alb.Body, want.ARN, alb.MultiValueHeaders["x-forwarded-for"][0]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ALB, many values: %s", diff)
	}
}

// TestGatewayWithoutBody checks the three forms of an empty body.
func TestGatewayWithoutBody(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]string{HTTPAPI: "", FunctionURL: "", RESTAPI: "null", ALB: `""`, ALBMulti: `""`} {
		event := eventOf(t, Config{BinaryTypes: []string{"*/*"}}, httpRequest("", "GET /_gateway/"+string(kind)+"/x HTTP/1.1", "Host: x", "Content-Type: application/protobuf"))
		fields := unmarshal[map[string]json.RawMessage](t, event)
		if got := string(fields["body"]); got != want {
			t.Errorf("%s: body = %s, want %s", kind, got, want)
		}
		if got := string(fields["isBase64Encoded"]); got != "false" {
			t.Errorf("%s: isBase64Encoded = %s, want false", kind, got)
		}
		for _, name := range []string{"queryStringParameters", "multiValueQueryStringParameters"} {
			if got, ok := fields[name]; ok && string(got) != map[Kind]string{RESTAPI: "null", ALB: "{}", ALBMulti: "{}"}[kind] {
				t.Errorf("%s: %s = %s", kind, name, got)
			}
		}
		if !strings.Contains(event, `"Root=1-6b02b0f7-0"`) {
			t.Errorf("%s: the event has no new trace: %s", kind, event)
		}
		if user := strings.Contains(event, "authorizer"); user {
			t.Errorf("%s: a request without signature has an authorizer: %s", kind, event)
		}
	}
}

// TestGatewayBinary checks which bodies arrive as base64.
func TestGatewayBinary(t *testing.T) {
	t.Parallel()
	all, text := []Kind{HTTPAPI, FunctionURL, ALB, ALBMulti, RESTAPI}, "letters é"
	for _, test := range []struct {
		contentType, encoding string
		binary                []Kind
		binaryTypes           []string // nil: application/protobuf, image/png
	}{
		{"text/plain", "", nil, nil},
		{"Text/HTML; charset=utf-8", "", nil, nil},
		{"application/json", "", nil, nil},
		{"application/json;charset=utf-8", "", nil, nil},
		{"application/javascript", "", nil, nil},
		{"application/xml", "", nil, nil},
		{"application/problem+json", "", all[:4], nil},
		{"image/svg+xml", "", all[:4], nil},
		{"application/yaml", "", all[:4], nil},
		{"application/x-www-form-urlencoded", "", all[:4], nil},
		{"application/octet-stream", "", all[:4], nil},
		{"", "", all[:4], nil},
		{"application/protobuf", "", all, nil},
		{"Application/Protobuf; proto=x", "", all, nil},
		{"image/png", "", all, nil},
		{"image/gif", "", all[:4], []string{"image/*"}}, // only */* is a pattern
		{"text/plain", "", []Kind{RESTAPI}, []string{"*/*"}},
		{"", "", all, []string{"*/*"}},
		{"application/json", "gzip", []Kind{ALB, ALBMulti}, nil},
	} {
		for _, kind := range all {
			head := []string{"POST /_gateway/" + string(kind) + "/x HTTP/1.1", "Host: x", "Content-Length: 10"}
			if test.contentType != "" {
				head = append(head, "Content-Type: "+test.contentType)
			}
			if test.encoding != "" {
				head = append(head, "Content-Encoding: "+test.encoding)
			}
			types := test.binaryTypes
			if types == nil {
				types = []string{"application/protobuf", "image~1png"}
			}
			event := unmarshal[struct {
				Body            string
				IsBase64Encoded bool
			}](t, eventOf(t, Config{BinaryTypes: types}, httpRequest(text, head...)))
			wantBinary, wantBody := false, text
			for _, k := range test.binary {
				wantBinary = wantBinary || k == kind
			}
			if wantBinary {
				wantBody = base64.StdEncoding.EncodeToString([]byte(text))
			}
			if event.IsBase64Encoded != wantBinary || event.Body != wantBody {
				t.Errorf("%s, type %q, encoding %q, binary types %q: body %q, base64 %t; want %q, %t",
					kind, test.contentType, test.encoding, types, event.Body, event.IsBase64Encoded, wantBody, wantBinary)
			}
		}
	}
}

// TestGatewayNotUTF8 sends text that is not UTF-8. JSON cannot hold it, so it is replaced, and the event is still JSON.
func TestGatewayNotUTF8(t *testing.T) {
	t.Parallel()
	for _, kind := range allKinds() {
		event := eventOf(t, Config{}, httpRequest("a\xffb", "POST /_gateway/"+string(kind)+"/x HTTP/1.1", "Host: x", "Content-Length: 3", "Content-Type: text/plain", "X-A: \xff"))
		if got := unmarshal[map[string]any](t, event)["body"]; got != "a\ufffdb" {
			t.Errorf("%s: body = %q, want the byte replaced", kind, got)
		}
	}
}

// TestGatewayPath checks how gateways change a path.
func TestGatewayPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind              Kind
		stage, path, want string
		parameter         string
	}{
		{HTTPAPI, "", "/a%20b/c%2Fd", "/a b/c/d", "a b/c/d"},
		{HTTPAPI, "", "/100%25", "/100%", "100%"},
		{HTTPAPI, "", "/a%3Fb=c", "/a", "a?b=c"}, // as recorded from AWS: the rest is lost
		{HTTPAPI, "", "//a//", "//a//", "/a//"},
		{HTTPAPI, "prod", "/a", "/prod/a", "a"},
		{HTTPAPI, "prod", "/prod/a", "/prod/a", "a"},
		{HTTPAPI, "prod", "/production/a", "/prod/production/a", "production/a"},
		{HTTPAPI, "$default", "/a", "/a", "a"},
		{RESTAPI, "prod", "/a%20b/c%2Fd", "/a%20b/c%2Fd", "a%20b/c%2Fd"},
		{RESTAPI, "prod", "/prod/a/", "/a/", "a"},
		{FunctionURL, "prod", "/a%20b/c%2Fd", "/a%20b/c%2Fd", ""},
		{FunctionURL, "prod", "/prod/a", "/prod/a", ""},
		{ALB, "", "/a%20b/c%2Fd", "/a%20b/c%2Fd", ""},
	} {
		event := unmarshal[struct {
			Path, RawPath  string
			PathParameters struct{ Proxy string }
			RequestContext struct {
				Stage, Path string
				HTTP        struct{ Path string }
			}
		}](t, eventOf(t, Config{Default: test.kind, Stages: map[Kind]string{test.kind: test.stage}}, httpRequest("", "GET "+test.path+" HTTP/1.1", "Host: x")))
		if got := event.Path + event.RawPath; got != test.want || event.PathParameters.Proxy != test.parameter {
			t.Errorf("%s, stage %q, %s: path %q, proxy %q; want %q, %q", test.kind, test.stage, test.path, got, event.PathParameters.Proxy, test.want, test.parameter)
		}
		in := event.RequestContext
		if test.kind == RESTAPI && in.Path != "/prod"+test.want || test.kind == HTTPAPI && in.HTTP.Path != test.want {
			t.Errorf("%s, stage %q, %s: the context's path is %q %q", test.kind, test.stage, test.path, in.Path, in.HTTP.Path)
		}
	}
}
