package lambdahttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/osirose-new/database-service/shared/lambdahttp"
)

// answer is a response of any kind. decode checks that it has no other members.
type answer struct {
	StatusCode        int                 `json:"statusCode"`
	StatusDescription string              `json:"statusDescription"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Cookies           []string            `json:"cookies"`
	Body              []byte              `json:"-"`
	RawBody           *string             `json:"body"`
	IsBase64Encoded   *bool               `json:"isBase64Encoded"`
}

func decode(t testing.TB, response []byte) (a answer) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(response))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil || !utf8.Valid(response) || a.RawBody == nil || a.IsBase64Encoded == nil {
		t.Fatalf("response %.300s: %v, want a response with body and isBase64Encoded", response, err)
	}
	a.Body = []byte(*a.RawBody)
	if *a.IsBase64Encoded {
		a.Body = unbase64(t, *a.RawBody)
	}
	return a
}

// seen is the request as the handler saw it.
type seen struct {
	*http.Request
	body []byte
}

// invocation runs handler for one event.
type invocation struct {
	handler http.HandlerFunc // nil: an empty response
	ctx     context.Context  // nil: the test's, with a request id
	log     bytes.Buffer
	saw     *seen // the handler's request
}

const requestID = "8f507cfc-1b2c-4d5e-8f90-a1b2c3d4e5f6"

func (i *invocation) run(t testing.TB, event any) (answer, error) {
	t.Helper()
	payload, isBytes := event.([]byte)
	if !isBytes {
		var err error
		if payload, err = json.Marshal(event); err != nil {
			t.Fatal(err)
		}
	}
	if i.ctx == nil {
		i.ctx = t.Context()
	}
	ctx := lambdacontext.NewContext(i.ctx, &lambdacontext.LambdaContext{AwsRequestID: requestID})
	adapter := lambdahttp.New(slog.New(slog.NewJSONHandler(&i.log, nil)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		i.saw = &seen{r, body}
		if i.handler != nil {
			i.handler(w, r)
		}
	}))
	response, err := adapter.Invoke(ctx, payload)
	if err != nil {
		return answer{}, err
	}
	return decode(t, response), nil
}

// invoke runs an event that is a request. It returns the handler's request; nil: the handler was not called.
func invoke(t testing.TB, event any, handler http.HandlerFunc) (answer, *seen) {
	t.Helper()
	i := invocation{handler: handler}
	a, err := i.run(t, event)
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	return a, i.saw
}

const getUser = "/twirp/osirose.database.v1.UserService/GetUser"

func v2Event() events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: getUser}
	e.RequestContext.HTTP.Method = http.MethodPost
	return e
}

func v1Event() events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{Path: getUser, HTTPMethod: http.MethodPost}
}

func albEvent() events.ALBTargetGroupRequest {
	e := events.ALBTargetGroupRequest{Path: getUser, HTTPMethod: http.MethodPost, Headers: map[string]string{"host": "lb"}}
	e.RequestContext.ELB.TargetGroupArn = "arn"
	return e
}

func albMultiEvent() events.ALBTargetGroupRequest {
	e := albEvent()
	e.Headers, e.MultiValueHeaders = nil, map[string][]string{"host": {"lb"}}
	return e
}

// kinds has one event of each kind.
func kinds() map[string]any {
	return map[string]any{"v2": v2Event(), "v1": v1Event(), "alb": albEvent(), "alb multi": albMultiEvent()}
}

// wantTwirp checks an error in Twirp's JSON.
func wantTwirp(t testing.TB, call string, a answer, status int, code, reason string) {
	t.Helper()
	var e struct {
		Code string
		Meta map[string]string
	}
	if err := json.Unmarshal(a.Body, &e); err != nil || a.StatusCode != status || e.Code != code || e.Meta["reason"] != reason {
		t.Errorf("%s = %d %s, want %d %s %s", call, a.StatusCode, a.Body, status, code, reason)
	}
	if *a.IsBase64Encoded {
		t.Errorf("%s is base64, want text", call)
	}
}

// buffer is a log for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
