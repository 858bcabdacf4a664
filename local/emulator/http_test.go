package emulator_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/local/emulator"
	"github.com/osirose-new/database-service/local/emulator/gateway"
	"github.com/osirose-new/database-service/shared/lambdahttp"
)

const twirpTemplate = `
Resources:
  HttpApi: {Type: AWS::Serverless::HttpApi, Properties: {StageName: live}}
  RestApi: {Type: AWS::Serverless::Api, Properties: {StageName: live, BinaryMediaTypes: [application~1protobuf]}}
  ThingFunction:
    Type: AWS::Serverless::Function
    Properties: {Events: {All: {Type: HttpApi, Properties: {Path: "/twirp/x.ThingService/{method}", Method: POST}}}}
  OddFunction:
    Type: AWS::Serverless::Function
    Properties: {Events: {All: {Type: HttpApi, Properties: {Path: "/odd/{what}", Method: GET}}}}
`

// twirpEcho answers with the request's body and type, and with 404 at the path of GetNothing.
func twirpEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	if strings.HasSuffix(r.URL.Path, "/GetNothing") {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, "echo ")
	_, _ = io.Copy(w, r.Body)
}

// odd fails, or returns documents that are no HTTP responses.
func odd(_ context.Context, event []byte) ([]byte, error) {
	switch text := string(event); {
	case strings.Contains(text, "/odd/fail"):
		return nil, errors.New("as ordered")
	case strings.Contains(text, "/odd/base64"):
		return []byte(`{"statusCode":200,"body":"%","isBase64Encoded":true}`), nil
	case strings.Contains(text, "/odd/header"):
		return []byte(`{"statusCode":200,"headers":{"a b":"c"}}`), nil
	case strings.Contains(text, "/odd/large"):
		return []byte(`{"statusCode":200,"body":"` + strings.Repeat("x", 256<<10) + `"}`), nil
	}
	return []byte(`{"statusCode":"none"}`), nil
}

func serveTwirp(t *testing.T) running {
	t.Helper()
	return serve(t, emulator.Options{
		Template: writeFile(t, t.TempDir(), "template.yaml", twirpTemplate),
		Handlers: map[string]emulator.Handler{
			"ThingFunction": lambdahttp.New(slog.New(slog.DiscardHandler), http.HandlerFunc(twirpEcho)), "OddFunction": handler(odd),
		},
	})
}

func allGateways() []emulator.Gateway {
	return []emulator.Gateway{emulator.HTTPAPI, emulator.RESTAPI, emulator.FunctionURL, emulator.ALB, emulator.ALBMulti}
}

func TestInvocationHTTP(t *testing.T) {
	t.Parallel()
	for _, kind := range allGateways() {
		for _, test := range []struct {
			name, method, contentType, accept, body string
			status                                  int
		}{
			{"protobuf", "GetThing", "application/protobuf", "application/protobuf", "\x0a\xff\x00\xfe", 200},
			{"protobuf as text", "GetThing", "application/protobuf", "", "\x0a\xff\x00\xfe", 200}, // a REST API sends base64
			{"JSON", "GetThing", "application/json", "application/json", `{"id":"ż <&>"}`, 200},
			{"empty", "GetThing", "application/protobuf", "application/protobuf", "", 200},
			{"an error", "GetNothing", "application/json", "", "{}", 404},
		} {
			t.Run(string(kind)+" "+test.name, func(t *testing.T) {
				t.Parallel()
				e := serveTwirp(t)
				path := "/twirp/x.ThingService/" + test.method
				e.request(t, http.MethodPost, "/_gateway/"+string(kind)+path, test.body, "Content-Type", test.contentType, "Accept", test.accept)
				i := e.invocation(t, 1)
				want := emulator.Exchange{
					Request:  gateway.Request{Kind: kind, Method: "POST", Path: path, ContentType: test.contentType, Body: []byte(test.body)},
					Response: gateway.Response{Status: test.status, ContentType: test.contentType, Body: []byte("echo " + test.body)},
				}
				got, err := i.HTTP()
				if diff := cmp.Diff(want, got); err != nil || diff != "" || i.Source != string(kind) {
					t.Errorf("source %s, %v, %s", i.Source, err, diff)
				}
				replayed, err := e.Replay(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				got, err = replayed.HTTP()
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("replay: %v, %s", err, diff)
				}
			})
		}
	}
}

// Without a response the exchange has the request and says why.
func TestInvocationHTTPProblem(t *testing.T) {
	t.Parallel()
	for _, kind := range allGateways() {
		for what, want := range map[string]string{
			"fail": "the function failed", "status": "malformed", "header": "malformed", "base64": "", "large": "the response is larger than 256 KiB",
		} {
			t.Run(string(kind)+" "+what, func(t *testing.T) {
				t.Parallel()
				e := serveTwirp(t)
				e.request(t, http.MethodGet, "/_gateway/"+string(kind)+"/odd/"+what, "")
				x, err := e.invocation(t, 1).HTTP()
				if err != nil || x.Request.Path != "/odd/"+what || x.Request.Kind != kind {
					t.Errorf("got %+v, %v; want the request", x, err)
				}
				header := what == "header" && kind == emulator.ALBMulti // which reads another field
				if x.Problem == "" && !header || !strings.Contains(x.Problem, want) && !header || x.Response.Body != nil {
					t.Errorf("got %q and %+v, want %q and no response", x.Problem, x.Response, want)
				}
			})
		}
	}
}
