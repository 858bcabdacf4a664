package gateway

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGatewayResponse checks the responses to the documents that functions return.
func TestGatewayResponse(t *testing.T) {
	t.Parallel()
	type want struct {
		status int
		body   string
		header map[string][]string // only these are compared; nil: must be absent
	}
	v2Error, furlError := want{500, `{"message":"Internal Server Error"}`, nil}, want{502, "Internal Server Error", nil}
	v1Error, albError := want{502, `{"message": "Internal server error"}`, nil}, want{502, albPage("502 Bad Gateway"), nil}
	malformed := map[Kind]want{HTTPAPI: v2Error, FunctionURL: furlError, RESTAPI: v1Error, ALB: albError, ALBMulti: albError}
	header := func(pairs ...string) map[string][]string {
		h := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
		}
		return h
	}
	for name, test := range map[string]struct {
		payload string
		accept  string
		want    map[Kind]want
	}{
		"a status and headers": {`{"statusCode":201,"headers":{"content-type":"text/x","X-a":"1"},"body":"é"}`, "", map[Kind]want{
			HTTPAPI: {201, "é", header("Content-Type", "text/x", "X-A", "1")}, FunctionURL: {201, "é", header("Content-Type", "text/x", "X-A", "1")},
			RESTAPI: {201, "é", header("Content-Type", "text/x", "X-A", "1")}, ALB: {201, "é", header("Content-Type", "text/x", "X-A", "1")},
			ALBMulti: {201, "é", map[string][]string{"X-A": nil, "Content-Type": {"application/octet-stream"}}},
		}},
		"many values": {`{"statusCode":200,"headers":{"X-A":"0","X-B":"b"},"multiValueHeaders":{"X-A":["1","2"]}}`, "", map[Kind]want{
			HTTPAPI: {200, "", header("X-A", "0", "X-B", "b")}, FunctionURL: {200, "", header("X-A", "0", "X-B", "b")},
			RESTAPI: {200, "", header("X-A", "1", "X-A", "2", "X-B", "b")}, ALB: {200, "", header("X-A", "0", "X-B", "b")},
			ALBMulti: {200, "", map[string][]string{"X-A": {"1", "2"}, "X-B": nil}},
		}},
		"no content type": {`{"statusCode":200,"headers":{},"body":"x"}`, "", map[Kind]want{
			HTTPAPI: {200, "x", header("Content-Type", "text/plain; charset=utf-8")}, FunctionURL: {200, "x", header("Content-Type", "application/json")},
			RESTAPI: {200, "x", header("Content-Type", "application/json")}, ALB: {200, "x", header("Content-Type", "application/octet-stream")},
		}},
		"cookies": {`{"statusCode":200,"cookies":["a=1; Path=/","b=2"],"headers":{"Set-Cookie":"c=3"}}`, "", map[Kind]want{
			HTTPAPI: {200, "", header("Set-Cookie", "c=3", "Set-Cookie", "a=1; Path=/", "Set-Cookie", "b=2")}, RESTAPI: v1Error,
			FunctionURL: {200, "", header("Set-Cookie", "c=3", "Set-Cookie", "a=1; Path=/", "Set-Cookie", "b=2")},
		}},
		"headers of the connection": {`{"statusCode":200,"headers":{"Connection":"close","Content-Length":"77","Transfer-Encoding":"chunked","Date":"then","WWW-Authenticate":"Basic"},"body":"x"}`, "", map[Kind]want{
			HTTPAPI:     {200, "x", map[string][]string{"Connection": nil, "Content-Length": {"1"}, "Www-Authenticate": {"Basic"}}},
			ALB:         {200, "x", map[string][]string{"Connection": nil, "Content-Length": {"1"}, "Www-Authenticate": {"Basic"}}},
			RESTAPI:     {200, "x", map[string][]string{"Content-Length": {"1"}, "X-Amzn-Remapped-Content-Length": {"77"}, "X-Amzn-Remapped-Www-Authenticate": {"Basic"}, "Www-Authenticate": nil}},
			FunctionURL: {200, "x", map[string][]string{"Content-Length": {"1"}, "X-Amzn-Remapped-Date": {"then"}, "X-Amzn-Remapped-Www-Authenticate": {"Basic"}}},
		}},
		"numbers as headers": {`{"statusCode":200,"headers":{"X-A":1,"X-B":true}}`, "", map[Kind]want{
			HTTPAPI: {200, "", header("X-A", "1", "X-B", "true")}, FunctionURL: {200, "", header("X-A", "1", "X-B", "true")}, RESTAPI: v1Error, ALB: albError,
		}},
		"null as header":        {`{"statusCode":200,"headers":{"X-A":null}}`, "", map[Kind]want{HTTPAPI: v2Error, RESTAPI: v1Error, ALB: albError}},
		"a list in many values": {`{"statusCode":200,"multiValueHeaders":{"X-A":"b"}}`, "", map[Kind]want{RESTAPI: v1Error, ALBMulti: albError}},
		"two lines in a header": {`{"statusCode":200,"headers":{"X-A":"b\r\nX-C: d"}}`, "", malformedWithout(malformed, ALBMulti)},
		"malformed header name": {`{"statusCode":200,"headers":{"X A":"b"}}`, "", malformedWithout(malformed, ALBMulti)},
		"base64, accepted": {`{"statusCode":200,"headers":{},"body":"/w==","isBase64Encoded":true}`, "application/protobuf;q=1, text/html", map[Kind]want{
			HTTPAPI: {200, "\xff", nil}, FunctionURL: {200, "\xff", nil}, RESTAPI: {200, "\xff", nil}, ALB: {200, "\xff", nil}, ALBMulti: {200, "\xff", nil},
		}},
		"base64, accepted second": {`{"statusCode":200,"headers":{"Content-Type":"application/protobuf"},"body":"/w==","isBase64Encoded":true}`, "*/*, application/protobuf", map[Kind]want{
			HTTPAPI: {200, "\xff", nil}, RESTAPI: {200, "/w==", nil},
		}},
		"base64, no accept": {`{"statusCode":200,"headers":{},"body":"/w==","isBase64Encoded":true}`, "", map[Kind]want{HTTPAPI: {200, "\xff", nil}, RESTAPI: {200, "/w==", nil}}},
		"text, accepted":    {`{"statusCode":200,"headers":{},"body":"/w=="}`, "application/protobuf", map[Kind]want{HTTPAPI: {200, "/w==", nil}, RESTAPI: {200, "/w==", nil}}},
		"bad base64": {`{"statusCode":200,"headers":{},"body":"/w=","isBase64Encoded":true}`, "application/protobuf", map[Kind]want{
			HTTPAPI: v2Error, FunctionURL: furlError, RESTAPI: {500, `{"message": "Internal server error"}`, nil}, ALB: albError, ALBMulti: albError,
		}},
		"bad base64, not decoded": {`{"statusCode":200,"headers":{},"body":"/w=","isBase64Encoded":true}`, "text/html", map[Kind]want{RESTAPI: {200, "/w=", nil}}},
		"null as body":            {`{"statusCode":200,"headers":null,"body":null}`, "", map[Kind]want{HTTPAPI: {200, "", nil}, FunctionURL: {200, "", nil}, RESTAPI: {200, "", nil}, ALB: {200, "", nil}}},
		"an object as body":       {`{"statusCode":200,"body":{"a":1}}`, "", malformed},
		"a string as status":      {`{"statusCode":"200"}`, "", malformed},
		"status 0":                {`{"statusCode":0}`, "", malformed},
		"status 100":              {`{"statusCode":100}`, "", malformed},
		"status 200.5":            {`{"statusCode":200.5}`, "", malformed},
		"status 1000":             {`{"statusCode":1000}`, "", malformed},
		"an unknown field":        {`{"statusCode":200,"headers":{},"other":1}`, "", map[Kind]want{HTTPAPI: {200, "", nil}, ALB: {200, "", nil}, RESTAPI: v1Error}},
		"no status": {`{"message":"hi"}`, "", map[Kind]want{
			HTTPAPI: {200, `{"message":"hi"}`, header("Content-Type", "application/json")}, FunctionURL: {200, `{"message":"hi"}`, header("Content-Type", "application/json")},
			RESTAPI: v1Error, ALB: albError, ALBMulti: albError,
		}},
		"a string": {`"Hello \"you\""`, "", map[Kind]want{
			HTTPAPI: {200, `Hello "you"`, header("Content-Type", "application/json")}, FunctionURL: {200, `Hello "you"`, header("Content-Type", "application/json")},
			RESTAPI: v1Error, ALB: albError,
		}},
		"a list":      {`[1,2]`, "", map[Kind]want{HTTPAPI: {200, `[1,2]`, nil}, RESTAPI: v1Error, ALB: albError}},
		"null":        {`null`, "", map[Kind]want{HTTPAPI: {200, `null`, nil}, RESTAPI: v1Error, ALB: albError}},
		"not JSON":    {`{"a":`, "", map[Kind]want{HTTPAPI: {200, `{"a":`, nil}, RESTAPI: v1Error, ALB: albError}},
		"nothing":     {``, "", map[Kind]want{HTTPAPI: {200, ``, nil}, RESTAPI: v1Error, ALB: albError}},
		"no content":  {`{"statusCode":204,"headers":{},"body":"x"}`, "", map[Kind]want{HTTPAPI: {204, "", map[string][]string{"Content-Length": nil}}, RESTAPI: {204, "", nil}, ALB: {204, "", nil}}},
		"a date only": {`{"statusCode":200,"headers":{"Date":"then"}}`, "", map[Kind]want{RESTAPI: {200, "", header("X-Amzn-Remapped-Date", "then")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, Config{Routes: everything(returning(test.payload)), BinaryTypes: []string{"application/protobuf"}})
			for kind, want := range test.want {
				r, body := exchange(t, address, "GET /_gateway/"+string(kind)+"/x HTTP/1.1\r\nHost: x\r\nAccept: "+test.accept+"\r\n\r\n")
				if r.StatusCode != want.status || body != want.body {
					t.Errorf("%s: %d %q, want %d %q", kind, r.StatusCode, body, want.status, want.body)
				}
				for name, values := range want.header {
					if diff := cmp.Diff(values, r.Header[name]); diff != "" {
						t.Errorf("%s: header %s:\n%s", kind, name, diff)
					}
				}
			}
		})
	}
}

func malformedWithout[V any](m map[Kind]V, kind Kind) map[Kind]V {
	out := map[Kind]V{}
	for k, v := range m {
		if k != kind {
			out[k] = v
		}
	}
	return out
}

// TestGatewayHead checks that HEAD has no body, but the ids that each gateway sends.
func TestGatewayHead(t *testing.T) {
	t.Parallel()
	address := serve(t, Config{Routes: everything(returning(`{"statusCode":200,"headers":{},"body":"four"}`))})
	for kind, id := range map[Kind]string{HTTPAPI: "Apigw-Requestid", RESTAPI: "X-Amzn-Requestid", FunctionURL: "X-Amzn-Requestid", ALB: ""} {
		r, body := exchange(t, address, "HEAD /_gateway/"+string(kind)+"/x HTTP/1.1\r\nHost: x\r\n\r\n")
		if r.StatusCode != http.StatusOK || body != "" || r.ContentLength != 4 {
			t.Errorf("HEAD %s: %d %q of %d bytes, want 200 and no body, length 4", kind, r.StatusCode, body, r.ContentLength)
		}
		if id != "" && r.Header.Get(id) == "" {
			t.Errorf("HEAD %s: no %s", kind, id)
		}
	}
}
