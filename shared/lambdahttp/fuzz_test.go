package lambdahttp_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzEvent checks that any event gets a response, or an error without values. The handler's request must be one that
// net/http could produce.
func FuzzEvent(f *testing.F) {
	for _, file := range eventFiles(f) {
		f.Add(readEvent(f, file))
	}
	f.Add([]byte(`{"version":"2.0","rawPath":"/%2e%2e/twirp/%","rawQueryString":"%","headers":{"a":["b",1,null,{}],"":null},"cookies":[1,"a"],"body":"=","isBase64Encoded":true}`))
	f.Add([]byte(`{"httpMethod":"GET","path":"x/twirp/y","multiValueHeaders":{"Host":[],"x":"y"},"multiValueQueryStringParameters":{"a":[1,"b"]},"requestContext":{"elb":{}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		i := invocation{handler: func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/") || !strings.HasPrefix(r.RequestURI, "/") || r.RequestURI != r.URL.RequestURI() || r.Header == nil {
				t.Errorf("%q: the handler saw path %q, URI %q, header %v", payload, r.URL.Path, r.RequestURI, r.Header)
			}
			if r.ContentLength < 0 || len(r.Header["Host"]) > 0 || r.Header.Get("X-Forwarded-For") != "" {
				t.Errorf("%q: the handler saw length %d and header %v", payload, r.ContentLength, r.Header)
			}
			w.Header().Set("Echo", r.RequestURI)
			_, _ = w.Write([]byte(r.URL.Path))
		}}
		a, err := i.run(t, payload)
		switch {
		case err != nil && json.Valid(payload) && utf8.Valid(payload) && strings.HasPrefix(string(payload), `{"version":"2.0"`):
			t.Errorf("%q: %v", payload, err)
		case err == nil && (a.StatusCode != http.StatusOK && a.StatusCode != http.StatusBadRequest):
			t.Errorf("%q: %d %s, want 200, or 400 for the body", payload, a.StatusCode, a.Body)
		}
	})
}
