package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEvent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event string
		want  Request
		err   string
	}{
		"v1 of AWS": {
			`{"resource":"/{proxy+}","path":"/a","httpMethod":"PUT","headers":null,"multiValueHeaders":{"content-type":["a/b"]},"body":null,"requestContext":{"stage":"live"},"isBase64Encoded":false}`,
			Request{Kind: RESTAPI, Method: "PUT", Path: "/a", ContentType: "a/b", Body: []byte{}}, "",
		},
		"a stage in the path": {
			`{"version":"2.0","rawPath":"/live/a","body":"/w==","isBase64Encoded":true,"requestContext":{"stage":"live","http":{"method":"POST"}}}`,
			Request{Kind: HTTPAPI, Method: "POST", Path: "/a", Body: []byte{0xff}}, "",
		},
		"not base64": {
			`{"version":"2.0","body":"%","isBase64Encoded":true,"requestContext":{"http":{"method":"POST"}}}`,
			Request{}, "the body of the event is not base64: illegal base64 data at input byte 0",
		},
		"another type of a field": {`{"path":1,"httpMethod":"PUT"}`, Request{}, ErrNotHTTP.Error()},
		"a schedule":              {`{"version":"0","source":"aws.events","detail":{}}`, Request{}, ErrNotHTTP.Error()},
		"no object":               {`"text"`, Request{}, ErrNotHTTP.Error()},
		"an empty object":         {`{}`, Request{}, ErrNotHTTP.Error()},
		"version 2.0 alone":       {`{"version":"2.0"}`, Request{}, ErrNotHTTP.Error()},
	} {
		got, err := ParseEvent([]byte(test.event))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if diff := cmp.Diff(test.want, got); diff != "" || text != test.err {
			t.Errorf("%s: got the error %q, want %q; %s", name, text, test.err, diff)
		}
	}
}
