package lambdahttp_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		t.Fatalf("%.100q is not base64: %v", s, err)
	}
	return b
}

func TestRule01Kinds(t *testing.T) {
	t.Parallel()
	for what, event := range kinds() {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if a, saw := invoke(t, event, nil); saw == nil || saw.Method != http.MethodPost || saw.URL.Path != getUser || a.StatusCode != http.StatusOK {
				t.Errorf("the handler saw %+v and the status is %d, want POST %s and 200", saw, a.StatusCode, getUser)
			}
		})
	}
	for what, event := range map[string]string{
		"minimal v2":      `{"version":"2.0"}`,
		"minimal v1":      `{"httpMethod":"POST"}`,
		"minimal alb":     `{"requestContext":{"elb":{}}}`,
		"context is null": `{"httpMethod":"POST","requestContext":null}`,
		"elb is null":     `{"httpMethod":"POST","requestContext":{"elb":null},"headers":null}`,
	} {
		if a, saw := invoke(t, []byte(event), nil); saw == nil || a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s gets %d, want it passed to the handler", what, event, a.StatusCode)
		}
	}
	for what, event := range map[string]string{
		"empty":               `{}`,
		"with spaces":         " { }\n",
		"null":                `null`,
		"without any payload": ``,
		"a rule's schedule":   `{"version":"0","detail-type":"Scheduled Event","source":"aws.events","detail":{}}`,
		"EventBridge's own":   `{"version":"0","source":"aws.scheduler"}`,
		"of another source":   `{"detail-type":"Scheduled Event"}`,

		"serverless-plugin-warmup": `{"source":"serverless-plugin-warmup"}`,
		"lambda-warmer":            `{"warmer":true,"concurrency":3,"__WARMER_INVOCATION__":1,"__WARMER_CORRELATIONID__":"x"}`,
		"OpenNext's warmer":        `{"type":"warmer","warmerId":"x","index":0,"concurrency":1,"delay":75}`,
		"a schedule's constant":    `{"warmup":true}`,
		"another constant":         `{"warmUp":true}`,
		"Thundra's warm-up":        `"#warmup wait=200"`,
	} {
		a, saw := invoke(t, []byte(event), nil)
		if saw != nil || a.StatusCode != http.StatusOK || len(a.Body) > 0 || a.Headers == nil {
			t.Errorf("%s: %s: handler called: %t, response %d %q; want an empty 200 without the handler", what, event, saw != nil, a.StatusCode, a.Body)
		}
	}
}

// TestRule01HealthCheck checks that a load balancer's health check is answered without the handler.
func TestRule01HealthCheck(t *testing.T) {
	t.Parallel()
	for path, isHealthCheck := range map[string]bool{"/": true, "/healthz": true, "/readyz": false, "/x": false, getUser: false, "": false} {
		v2, v1, single, multi := v2Event(), v1Event(), albEvent(), albMultiEvent()
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			v2.RequestContext.HTTP.Method, v1.HTTPMethod, single.HTTPMethod, multi.HTTPMethod = method, method, method, method
			v2.RawPath, v1.Path, single.Path, multi.Path = path, path, path, path
			for kind, event := range map[string]any{"v2": v2, "v1": v1, "alb": single, "alb multi": multi} {
				want := isHealthCheck && method == http.MethodGet && strings.HasPrefix(kind, "alb")
				a, saw := invoke(t, event, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
				if (saw == nil) != want || (a.StatusCode == http.StatusOK && len(a.Body) == 0) != want {
					t.Errorf("%s %s by %s: handler called: %t, response %d %q; want an empty 200 without the handler: %t", method, path, kind, saw != nil, a.StatusCode, a.Body, want)
				}
			}
		}
	}
}

func TestRule01Unknown(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]string{
		`{"Records":["secret"],"b":{"secret":"secret"},"a":"secret"}`: `its keys are "Records", "a", "b"`,
		`{"warmer":"true","warmup":false}`:                            `its keys are "warmer", "warmup"`,
		`{"source":"warmup","type":"x"}`:                              `its keys are "source", "type"`,
		`{"version":"1.0"}`:                                           `its keys are "version"`,
		`{"detail-type":"Object Created","source":"aws.s3"}`:          `its keys are "detail-type", "source"`,
		`{"` + strings.Repeat(`k":1,"`, 29) + `k":1}`:                 `and 10 more`,
		`["secret"]`:              `not a JSON object`,
		`"secret"`:                `not a JSON object`,
		`{"secret"`:               `not a JSON object`,
		`{"version":"2.0"} x`:     `not a JSON object`,
		"{\"version\":\"\xff\"}":  `not a JSON object`,
		`{"secret":"secret",}`:    `not a JSON object`,
		`{"version":"2.0" "a":1}`: `not a JSON object`,
	} {
		i := invocation{}
		if a, err := i.run(t, []byte(event)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 200 {
			t.Errorf("Invoke(%s) = %+v, %v, want the error %q and no values", event, a, err, want)
		}
	}
}

func TestRule02Body(t *testing.T) {
	t.Parallel()
	binary := "\x0a\x0242\xff\x00"
	for what, test := range map[string]struct {
		body   string
		base64 bool
		want   string
	}{
		"none":               {"", false, ""},
		"none, in base64":    {"", true, ""},
		"text":               {`{"userId":"ü\"\\"}`, false, `{"userId":"ü\"\\"}`},
		"text like base64":   {"QUJD", false, "QUJD"},
		"protobuf in base64": {base64.StdEncoding.EncodeToString([]byte(binary)), true, binary},
	} {
		v2, v1, alb := v2Event(), v1Event(), albEvent()
		v2.Body, v2.IsBase64Encoded = test.body, test.base64
		v1.Body, v1.IsBase64Encoded = test.body, test.base64
		alb.Body, alb.IsBase64Encoded = test.body, test.base64
		for kind, event := range map[string]any{"v2": v2, "v1": v1, "alb": alb} {
			_, saw := invoke(t, event, nil)
			if saw.Body == nil || string(saw.body) != test.want || saw.ContentLength != int64(len(test.want)) {
				t.Errorf("%s, %s: the handler saw %q of length %d, want %q", kind, what, saw.body, saw.ContentLength, test.want)
			}
		}
	}
	for what, body := range map[string]string{
		"not base64": "{}", "no padding": "QQ", "bits left over": "QR==", "a line break": "QUJD\nQUJD", "of URLs": "__8=", "trailing": "QQ==QQ==",
	} {
		e := v2Event()
		e.Body, e.IsBase64Encoded = body, true
		a, saw := invoke(t, e, nil)
		wantTwirp(t, what, a, http.StatusBadRequest, "malformed", "BODY")
		if saw != nil {
			t.Errorf("%s: the handler was called with %q, want no call", what, saw.body)
		}
	}
}

func TestRule05Headers(t *testing.T) {
	t.Parallel()
	const date, signature = "Sun, 22 Nov 2026 18:45:01 GMT", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;x-amz-date, Signature=c"
	v2, v1, v1Single, alb, albMulti := v2Event(), v1Event(), v1Event(), albEvent(), albMultiEvent()
	v2.Headers = map[string]string{"if-modified-since": date, "authorization": signature, "accept": "a,b", "host": "example.com"}
	v2.Cookies = []string{"a=1, 2", "b=3"}
	v1.MultiValueHeaders = map[string][]string{"If-Modified-Since": {date}, "authorization": {signature}, "Accept": {"a", "b"}, "Host": {"example.com"}, "Cookie": {"a=1, 2; b=3"}}
	v1.Headers = map[string]string{"If-Modified-Since": date, "authorization": signature, "Accept": "b", "Host": "example.com"}
	v1Single.Headers = map[string]string{"If-Modified-Since": date, "authorization": signature, "Accept": "a,b", "Host": "example.com", "Cookie": "a=1, 2; b=3"}
	alb.Headers = map[string]string{"if-modified-since": date, "authorization": signature, "accept": "a,b", "host": "example.com", "cookie": "a=1, 2; b=3"}
	albMulti.MultiValueHeaders = map[string][]string{"if-modified-since": {date}, "authorization": {signature}, "accept": {"a", "b"}, "host": {"example.com"}, "cookie": {"a=1, 2; b=3"}}
	for kind, event := range map[string]any{"v2": v2, "v1": v1, "v1 with single values": v1Single, "alb": alb, "alb multi": albMulti} {
		_, saw := invoke(t, event, nil)
		want := http.Header{"If-Modified-Since": {date}, "Authorization": {signature}, "Accept": {"a", "b"}, "Cookie": {"a=1, 2; b=3"}}
		if kind == "v2" || kind == "alb" || kind == "v1 with single values" {
			want["Accept"] = []string{"a,b"}
		}
		if diff := cmp.Diff(want, saw.Header); diff != "" || saw.Host != "example.com" {
			t.Errorf("%s: the handler saw host %q and these headers (-want +got):\n%s", kind, saw.Host, diff)
		}
	}
}

func TestRule06Path(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{ // the request's URI
		getUser:                         getUser,
		"/prod" + getUser:               getUser,
		"/game/v1" + getUser:            getUser,
		"/a%20b" + getUser:              getUser,
		"/twirpx" + getUser:             getUser,
		"/x/twirp":                      "/x/twirp",
		"/xtwirp/a/b":                   "/xtwirp/a/b",
		getUser + "/twirp/x":            getUser + "/twirp/x",
		"/prod/other":                   "/prod/other",
		"/prod/a%2Ftwirp%2Fb":           "/prod/a%2Ftwirp%2Fb",
		"/prod/twirp/a%2Fb%20c!*'(/%25": "/twirp/a%2Fb%20c!*'(/%25",
		"/prod/ü b":                     "/prod/%C3%BC%20b", // an HTTP API decodes
		"/a?b#c":                        "/a%3Fb%23c",
		"":                              "/",
		"a/b":                           "/a/b",
		"//evil.example/twirp":          "//evil.example/twirp",
	} {
		v2, v1, alb := v2Event(), v1Event(), albEvent()
		v2.RawPath, v1.Path, alb.Path = sent, sent, sent
		for kind, event := range map[string]any{"v2": v2, "v1": v1, "alb": alb} {
			_, saw := invoke(t, event, nil)
			if saw.RequestURI != want || saw.URL.RequestURI() != want || saw.URL.EscapedPath() != want {
				t.Errorf("%s: %q is RequestURI %q, URL %q with path %q, want %q", kind, sent, saw.RequestURI, saw.URL, saw.URL.Path, want)
			}
		}
	}
	e := v2Event()
	e.RawPath = "/prod/twirp/a%2Fb c"
	if _, saw := invoke(t, e, nil); saw.URL.Path != "/twirp/a/b c" {
		t.Errorf("Path = %q, want it decoded", saw.URL.Path)
	}
}

func TestRule06Query(t *testing.T) {
	t.Parallel()
	v2, v1, v1Single, alb, albMulti := v2Event(), v1Event(), v1Event(), albEvent(), albMultiEvent()
	v2.RawQueryString = "a%20b=c%26d&a%20b=e+f&g"
	v1.MultiValueQueryStringParameters = map[string][]string{"a b": {"c&d", "e f"}}
	v1.QueryStringParameters = map[string]string{"a b": "e f"}
	v1Single.QueryStringParameters = map[string]string{"a b": "e f"}
	alb.QueryStringParameters = map[string]string{"a%20b": "e+f"}
	albMulti.MultiValueQueryStringParameters = map[string][]string{"a%20b": {"c%26d", "e+f"}}
	for kind, test := range map[string]struct {
		event any
		want  string
	}{
		"v2":                    {v2, "a%20b=c%26d&a%20b=e+f&g"},
		"v1":                    {v1, "a+b=c%26d&a+b=e+f"},
		"v1 with single values": {v1Single, "a+b=e+f"},
		"alb":                   {alb, "a%20b=e+f"},
		"alb multi":             {albMulti, "a%20b=c%26d&a%20b=e+f"},
	} {
		if _, saw := invoke(t, test.event, nil); saw.URL.RawQuery != test.want || saw.RequestURI != getUser+"?"+test.want {
			t.Errorf("%s: query %q of %q, want %q", kind, saw.URL.RawQuery, saw.RequestURI, test.want)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	v2, v1 := v2Event(), v1Event()
	v2.RequestContext.HTTP.SourceIP, v2.RequestContext.DomainName = "2001:db8::1", "domain.example"
	v1.RequestContext.Identity.SourceIP, v1.RequestContext.DomainName = "2001:db8::1", "domain.example"
	for kind, event := range map[string]any{"v2": v2, "v1": v1} {
		_, saw := invoke(t, event, nil)
		if saw.RemoteAddr != "[2001:db8::1]:0" || saw.Host != "domain.example" || saw.Proto != "HTTP/1.1" || !saw.ProtoAtLeast(1, 1) {
			t.Errorf("%s: the handler saw %q at %q over %q, want [2001:db8::1]:0 at domain.example over HTTP/1.1", kind, saw.RemoteAddr, saw.Host, saw.Proto)
		}
	}
	if _, saw := invoke(t, albEvent(), nil); saw.RemoteAddr != "" || saw.Host != "lb" {
		t.Errorf("alb: the handler saw %q at %q, want no address, and lb", saw.RemoteAddr, saw.Host)
	}
}

// TestPayloadIsReused overwrites the event, as aws-lambda-go does with the next event, while a handler's cache still
// has parts of the request.
func TestPayloadIsReused(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"version":"2.0","rawPath":"/a","rawQueryString":"b","headers":{"x-a":"c"},"body":"d"}`)
	_, saw := invoke(t, payload, nil)
	for i := range payload {
		payload[i] = 'x'
	}
	if got := fmt.Sprintf("%v %v %s", saw.URL, saw.Header, saw.body); got != "/a?b map[X-A:[c]] d" {
		t.Errorf("after the next event the request is %s, want /a?b map[X-A:[c]] d", got)
	}
}
