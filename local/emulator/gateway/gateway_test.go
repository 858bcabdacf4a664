package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// wantRefusal compares status, error type and body of a gateway's own response.
func wantRefusal(t *testing.T, call string, r *http.Response, body string, want refused) {
	t.Helper()
	if got := (refused{r.StatusCode, body, r.Header.Get("X-Amzn-Errortype")}); got != want {
		t.Errorf("%s: %+v, want %+v", call, got, want)
	}
	wantType := "application/json"
	if strings.HasPrefix(want.body, "<html>") {
		wantType = "text/html"
	}
	if got := r.Header.Get("Content-Type"); got != wantType {
		t.Errorf("%s: Content-Type %q, want %q", call, got, wantType)
	}
}

type refused struct {
	status          int
	body, errorType string
}

func albPage(title string) string {
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
}

// TestGatewayRefusals checks the responses that the gateways send by themselves.
func TestGatewayRefusals(t *testing.T) {
	t.Parallel()
	ran := func(context.Context, Kind, string, []byte) Result {
		t.Error("the function ran")
		return Result{}
	}
	answers := func(o Result) Function {
		return func(context.Context, Kind, string, []byte) Result { return o }
	}
	big := func(size int) []string { return []string{fmt.Sprintf("Content-Length: %d", size)} }
	restError, failed := "InternalServerErrorException", Result{Failed: true, Payload: []byte(`{"errorMessage":"secret","errorType":"error"}`)}
	for name, test := range map[string]struct {
		f      Function
		method string
		path   string
		head   []string
		body   string
		want   map[Kind]refused
	}{
		"no route": {ran, "GET", "/nowhere", nil, "", map[Kind]refused{
			HTTPAPI: {404, `{"message":"Not Found"}`, ""}, FunctionURL: {404, `{"message":"Not Found"}`, ""},
			RESTAPI: {403, `{"message":"Missing Authentication Token"}`, "MissingAuthenticationTokenException"},
			ALB:     {404, albPage("404 Not Found"), ""},
		}},
		"large header": {ran, "GET", "/f", []string{"X-Large: " + strings.Repeat("x", 10240)}, "", map[Kind]refused{
			HTTPAPI: {431, `{"message":"Request Header Fields Too Large"}`, ""},
			RESTAPI: {431, `{"message":"HTTP header is larger than 10240 bytes."}`, "RequestEntityTooLargeException"},
		}},
		"large header of a load balancer": {ran, "GET", "/f", []string{"X-Large: " + strings.Repeat("x", 64<<10)}, "", map[Kind]refused{
			ALB: {400, albPage("400 Bad Request"), ""},
		}},
		"upgrade": {ran, "GET", "/f", []string{"Connection: Upgrade", "Upgrade: websocket"}, "", map[Kind]refused{
			ALB: {400, albPage("400 Bad Request"), ""}, ALBMulti: {400, albPage("400 Bad Request"), ""},
		}},
		"over 10 MB": {ran, "POST", "/f", big(10<<20 + 1), strings.Repeat("x", 10<<20+1), map[Kind]refused{
			HTTPAPI: {413, `{"message":"Request Entity Too Large"}`, ""},
			RESTAPI: {413, `{"message":"HTTP content length exceeded 10485760 bytes."}`, "RequestEntityTooLargeException"},
		}},
		"event over 6 MB": {ran, "POST", "/f", append(big(5<<20), "Content-Type: application/protobuf"), strings.Repeat("x", 5<<20), map[Kind]refused{
			HTTPAPI: {413, `{"message":"Request Entity Too Large"}`, ""}, FunctionURL: {413, `{"message":"Request Entity Too Large"}`, ""},
		}},
		"over 1 MB": {ran, "POST", "/f", big(1<<20 + 1), strings.Repeat("x", 1<<20+1), map[Kind]refused{
			ALB: {413, albPage("413 Request Entity Too Large"), ""}, ALBMulti: {413, albPage("413 Request Entity Too Large"), ""},
		}},
		"malformed chunk": {ran, "POST", "/f", []string{"Transfer-Encoding: chunked"}, "xxx\r\n", map[Kind]refused{
			HTTPAPI: {400, `{"message":"Bad Request"}`, ""},
			RESTAPI: {400, `{"message":"Bad Request"}`, "BadRequestException"},
			ALB:     {400, albPage("400 Bad Request"), ""},
		}},
		"function error": {answers(failed), "GET", "/f", nil, "", map[Kind]refused{
			HTTPAPI: {500, `{"message":"Internal Server Error"}`, ""}, FunctionURL: {502, `Internal Server Error`, ""},
			RESTAPI: {502, `{"message": "Internal server error"}`, restError}, ALB: {502, albPage("502 Bad Gateway"), ""},
		}},
		"throttled": {answers(Result{Failed: true, Throttled: true}), "GET", "/f", nil, "", map[Kind]refused{
			HTTPAPI: {503, `{"message":"Service Unavailable"}`, ""}, RESTAPI: {500, `{"message": "Internal server error"}`, restError},
			FunctionURL: {429, `{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","Message":"Rate Exceeded."}`, ""},
			ALB:         {502, albPage("502 Bad Gateway"), ""},
		}},
		"document over 6 MB": {returning(`{"statusCode":200,"body":"` + strings.Repeat("x", 6<<20+100) + `"}`), "GET", "/f", nil, "", map[Kind]refused{
			HTTPAPI: {500, `{"message":"Internal Server Error"}`, ""}, RESTAPI: {502, `{"message": "Internal server error"}`, restError},
		}},
		"document over 1 MB": {returning(`{"statusCode":200,"body":"` + strings.Repeat("x", 1<<20) + `"}`), "GET", "/f", nil, "", map[Kind]refused{
			ALB: {502, albPage("502 Bad Gateway"), ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, Config{Routes: map[Kind][]Route{HTTPAPI: {{"ANY", "/f", test.f, "F"}}}})
			for kind, want := range test.want {
				head := append([]string{test.method + " /_gateway/" + string(kind) + test.path + " HTTP/1.1", "Host: x"}, test.head...)
				r, body := exchange(t, address, httpRequest(test.body, head...))
				wantRefusal(t, string(kind), r, body, want)
			}
		})
	}
}

// TestGatewayLimits sends requests that are just small enough.
func TestGatewayLimits(t *testing.T) {
	t.Parallel()
	address := serve(t, Config{Routes: everything(returning(`{"statusCode":200,"headers":{},"body":"` + strings.Repeat("x", 1<<20-50) + `"}`))})
	for kind, size := range map[Kind]int{HTTPAPI: 10240 - len("GET /x HTTP/1.1x"), RESTAPI: 10240 - 1, ALB: 60 << 10, FunctionURL: 60 << 10} {
		r, body := exchange(t, address, httpRequest("", "GET /_gateway/"+string(kind)+"/x HTTP/1.1", "Host: x", "X-Large: "+strings.Repeat("x", size)))
		if r.StatusCode != 200 || len(body) != 1<<20-50 {
			t.Errorf("%s with a header of %d bytes: %d with %d bytes, want 200 and all bytes", kind, size, r.StatusCode, len(body))
		}
	}
	for kind, size := range map[Kind]int{HTTPAPI: 5 << 20, RESTAPI: 5 << 20, FunctionURL: 5 << 20, ALB: 1 << 20} {
		r, body := exchange(t, address, httpRequest(strings.Repeat("x", size), "POST /_gateway/"+string(kind)+"/x HTTP/1.1", "Host: x", "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", size)))
		if r.StatusCode != 200 {
			t.Errorf("%s with a body of %d bytes: %d %.100s, want 200", kind, size, r.StatusCode, body)
		}
	}
}

// TestGatewayTimeout checks that a function which outlasts the gateway's timeout runs on to its end.
func TestGatewayTimeout(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]refused{
		HTTPAPI:     {503, `{"message":"Service Unavailable"}`, ""},
		RESTAPI:     {504, `{"message": "Endpoint request timed out"}`, "InternalServerErrorException"},
		FunctionURL: {502, `Internal Server Error`, ""},
		ALB:         {504, albPage("504 Gateway Time-out"), ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			goOn, ended := make(chan struct{}), make(chan error)
			address := serve(t, Config{
				Default: kind, Timeouts: map[Kind]time.Duration{kind: time.Millisecond},
				Routes: everything(func(ctx context.Context, _ Kind, _ string, _ []byte) Result {
					<-goOn
					ended <- ctx.Err()
					return Result{}
				}),
			})
			r, body := exchange(t, address, httpRequest("", "GET /x HTTP/1.1", "Host: x"))
			wantRefusal(t, string(kind), r, body, want)
			close(goOn)
			if err := <-ended; err != nil {
				t.Errorf("the function's context ended with %v when the gateway gave up, want it to run on", err)
			}
		})
	}
}

// TestGatewayClientLeaves checks that the function runs to its end after the client has left.
func TestGatewayClientLeaves(t *testing.T) {
	t.Parallel()
	runs, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	g := New(Config{Routes: everything(func(ctx context.Context, _ Kind, _ string, _ []byte) Result {
		close(runs)
		<-goOn
		ended <- ctx.Err()
		return Result{}
	})})
	left := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.ServeHTTP(w, r)
		close(left)
	})}
	defer s.Close()
	go func() { _ = s.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-runs
	conn.Close()
	<-left // the gateway does not wait for the function
	close(goOn)
	if err := <-ended; err != nil {
		t.Errorf("the function's context ended with %v when the client left, want it to run on", err)
	}
}

// TestGatewayResponses applies a template's GatewayResponses to the REST API's own responses.
func TestGatewayResponses(t *testing.T) {
	t.Parallel()
	body := `{"code":"x","msg":$context.error.messageString,"plain":"$context.error.message","type":"$context.error.responseType","id":"$context.requestId"}`
	address := serve(t, Config{
		Routes:      map[Kind][]Route{HTTPAPI: {{"GET", "/f", returning(`{}`), "F"}, {"GET", "/bad", returning(`no`), "F"}, {"GET", "/base64", returning(`{"body":"?","isBase64Encoded":true}`), "F"}}},
		BinaryTypes: []string{"*/*"},
		Responses: map[string]template.Response{
			"DEFAULT_4XX": {Body: body}, "DEFAULT_5XX": {Status: 503, Body: body, Headers: map[string]string{"X-Own": "yes"}},
			"MISSING_AUTHENTICATION_TOKEN": {Status: 404, Body: body},
		},
	})
	for _, test := range []struct {
		kind, path string
		status     int
		want       string
	}{
		{"v1", "/nowhere", 404, `{"code":"x","msg":"Missing Authentication Token","plain":"Missing Authentication Token","type":"MISSING_AUTHENTICATION_TOKEN","id":"`},
		{"v1", "/bad", 503, `{"code":"x","msg":"Internal server error","plain":"Internal server error","type":"DEFAULT_5XX","id":"`},
		{"v1", "/base64", 503, `{"code":"x","msg":"Internal server error","plain":"Internal server error","type":"API_CONFIGURATION_ERROR","id":"`},
		{"v1", "/f", 200, ``},
		{"v2", "/nowhere", 404, `{"message":"Not Found"}`}, // an HTTP API has no GatewayResponses
	} {
		r, got := exchange(t, address, "GET /_gateway/"+test.kind+test.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if id := r.Header.Get("X-Amzn-Requestid"); test.kind == "v1" && test.want != "" {
			test.want += id + `"}`
		}
		if r.StatusCode != test.status || got != test.want {
			t.Errorf("%s %s: %d %s, want %d %s", test.kind, test.path, r.StatusCode, got, test.status, test.want)
		}
		if own := r.Header.Get("X-Own"); (own == "yes") != (test.status == 503) {
			t.Errorf("%s %s: X-Own %q", test.kind, test.path, own)
		}
	}
}
