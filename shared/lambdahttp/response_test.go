package lambdahttp_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// respond answers with a body and a content type; an empty type is not set.
func respond(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		_, _ = w.Write(body)
	}
}

func TestRule03Base64(t *testing.T) {
	t.Parallel()
	for contentType, text := range map[string]bool{
		"text/plain": true, "text/html; charset=utf-8": true, "application/json": true, "Application/JSON ; charset=utf-8": true,
		"application/javascript": true, "application/xml": true, "application/yaml": true, "application/problem+json": true,
		"image/svg+xml": true, "application/openapi+yaml": true, "application/protobuf": false, "application/octet-stream": false,
		"application/jsonx": false, "image/png": false, "json": false, "image/json": false, "application/grpc+proto": false,
	} {
		for _, body := range []string{"ASCII", "", "ü \"\\\n\x00\u2028\U0001f600</script>"} {
			a, _ := invoke(t, v2Event(), respond(contentType, []byte(body)))
			if string(a.Body) != body || *a.IsBase64Encoded == text {
				t.Errorf("%s %q is %q, base64: %t, want base64: %t", contentType, body, a.Body, *a.IsBase64Encoded, !text)
			}
		}
		a, _ := invoke(t, v2Event(), respond(contentType, []byte("a\xffb")))
		if string(a.Body) != "a\xffb" || !*a.IsBase64Encoded {
			t.Errorf("%s that is not UTF-8 is %q, base64: %t, want base64", contentType, a.Body, *a.IsBase64Encoded)
		}
	}
	for what, handler := range map[string]http.HandlerFunc{
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			respond("application/json", []byte("{}"))(w, nil)
		},
		"compressed, no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("{}"))
		},
		"type set to nil": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte("{}"))
		},
	} {
		if a, _ := invoke(t, v2Event(), handler); string(a.Body) != "{}" || !*a.IsBase64Encoded {
			t.Errorf("%s: %q, base64: %t, want base64", what, a.Body, *a.IsBase64Encoded)
		}
	}
}

func TestRule04Headers(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Vary"] = []string{"Accept", "Origin"}
		h["Set-Cookie"] = []string{"a=1; Expires=Sun, 22 Nov 2026 18:45:01 GMT", "b=2"}
		h["X-Lines"] = []string{" a\r\nX-Evil: b "}
		h["X-Not-Utf8"] = []string{"a\xff"}
		h["not a name"], h["Trailer:X"], h[""], h["X-None"] = []string{"x"}, []string{"x"}, []string{"x"}, nil
		w.WriteHeader(http.StatusCreated)
	}
	multi := map[string][]string{
		"Vary": {"Accept", "Origin"}, "Set-Cookie": {"a=1; Expires=Sun, 22 Nov 2026 18:45:01 GMT", "b=2"},
		"X-Lines": {"a  X-Evil: b"}, "X-Not-Utf8": {"a\ufffd"},
	}
	single := map[string]string{"Vary": "Accept, Origin", "X-Lines": "a  X-Evil: b", "X-Not-Utf8": "a\ufffd"}
	last := map[string]string{"Vary": "Accept, Origin", "X-Lines": "a  X-Evil: b", "X-Not-Utf8": "a\ufffd", "Set-Cookie": "b=2"}
	for kind, want := range map[string]answer{
		"v2":        {Headers: single, Cookies: multi["Set-Cookie"]},
		"v1":        {MultiValueHeaders: multi},
		"alb":       {Headers: last, StatusDescription: "201 Created"},
		"alb multi": {MultiValueHeaders: multi, StatusDescription: "201 Created"},
	} {
		a, _ := invoke(t, kinds()[kind], handler)
		want.StatusCode, want.Body, want.RawBody, want.IsBase64Encoded = http.StatusCreated, []byte{}, a.RawBody, a.IsBase64Encoded
		if diff := cmp.Diff(want, a); diff != "" {
			t.Errorf("%s: response (-want +got):\n%s", kind, diff)
		}
	}
	a, _ := invoke(t, albEvent(), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })
	if a.StatusCode != 299 || a.StatusDescription != "299" {
		t.Errorf("status %d %q, want only 299", a.StatusCode, a.StatusDescription)
	}
}

func TestRule08Semantics(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
		headers map[string]string
		body    string
	}{
		"silence": {func(http.ResponseWriter, *http.Request) {}, 200, map[string]string{}, ""},
		"headers only": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1")
		}, 200, map[string]string{"X-A": "1"}, ""},
		"the first status wins": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(200)
		}, 404, map[string]string{}, ""},
		"headers after the status": {func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h["X-A"] = []string{"1"}
			w.WriteHeader(404)
			h.Set("X-B", "2")
			h["X-A"][0] = "changed"
			w.Header().Set("X-C", "3")
		}, 404, map[string]string{"X-A": "1"}, ""},
		"headers after the body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("{}"))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(500)
		}, 200, map[string]string{"Content-Type": "text/plain; charset=utf-8"}, "{}"},
		"headers after a flush": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.Header().Set("X-A", "1")
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		}, 200, map[string]string{}, ""},
		"1xx": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("X-A", "1")
			w.WriteHeader(http.StatusTeapot)
		}, 418, map[string]string{"X-A": "1"}, ""},
		"the type is detected from all writes": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("\x89PN"))
			_, _ = io.WriteString(w, "G\r\n\x1a\n")
		}, 200, map[string]string{"Content-Type": "image/png"}, "\x89PNG\r\n\x1a\n"},
		"no type is detected for a compressed body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("x"))
		}, 200, map[string]string{"Content-Encoding": "gzip"}, "x"},
		"no body with 204": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(err)
			}
		}, 204, map[string]string{}, ""},
		"no body with 304": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotModified)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(err)
			}
		}, 304, map[string]string{}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a, _ := invoke(t, v2Event(), test.handler)
			if diff := cmp.Diff(test.headers, a.Headers); diff != "" || a.StatusCode != test.status || string(a.Body) != test.body {
				t.Errorf("%d %q, want %d %q, headers (-want +got):\n%s", a.StatusCode, a.Body, test.status, test.body, diff)
			}
		})
	}
	e := v2Event()
	e.RequestContext.HTTP.Method = http.MethodHead
	a, _ := invoke(t, e, respond("", bytes.Repeat([]byte("x"), 7<<20)))
	if len(a.Body) > 0 || a.StatusCode != 200 || a.Headers["Content-Type"] != "text/plain; charset=utf-8" {
		t.Errorf("HEAD = %d %.20q %v, want 200, the headers of GET, and no body", a.StatusCode, a.Body, a.Headers)
	}
}

func TestRule12TooLarge(t *testing.T) {
	t.Parallel()
	const protobuf, text = "application/protobuf", "text/plain"
	for what, test := range map[string]struct {
		contentType string
		body        []byte
		tooLarge    []string // kinds
	}{
		"4.7 MB of protobuf":         {protobuf, bytes.Repeat([]byte{0xff}, 4_700_000), []string{"alb", "alb multi"}},
		"4.8 MB of protobuf":         {protobuf, bytes.Repeat([]byte{0xff}, 4_800_000), []string{"v1", "v2", "alb", "alb multi"}},
		"6.2 MB of text":             {text, bytes.Repeat([]byte{'x'}, 6_200_000), []string{"alb", "alb multi"}},
		"6 MiB of text":              {text, bytes.Repeat([]byte{'x'}, 6<<20), []string{"v1", "v2", "alb", "alb multi"}},
		"3.2 MB of quotes":           {text, bytes.Repeat([]byte{'"'}, 3_200_000), []string{"v1", "v2", "alb", "alb multi"}},
		"20 MB":                      {protobuf, make([]byte, 20_000_000), []string{"v1", "v2", "alb", "alb multi"}},
		"740 kB, for load balancers": {protobuf, make([]byte, 740_000), nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for kind, event := range kinds() {
				i := invocation{handler: func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("X-A", "1")
					w.Header().Set("Content-Type", test.contentType)
					for part := range slices.Chunk(test.body, 1<<19) {
						_, _ = w.Write(part)
					}
				}}
				a, err := i.run(t, event)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(test.tooLarge, kind) {
					if a.StatusCode != 200 || !bytes.Equal(a.Body, test.body) {
						t.Errorf("%s: %d and %d bytes, want the response", kind, a.StatusCode, len(a.Body))
					}
					continue
				}
				wantTwirp(t, kind, a, http.StatusTooManyRequests, "resource_exhausted", "RESPONSE_TOO_LARGE")
				if a.Headers["X-A"] != "" || a.MultiValueHeaders["X-A"] != nil {
					t.Errorf("%s: the error has headers of the response: %+v", kind, a)
				}
				if log := i.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, requestID) {
					t.Errorf("%s: logged %q, want one line with the request id", kind, log)
				}
			}
		})
	}
}

func TestRule13DroppedHeaders(t *testing.T) {
	t.Parallel()
	for kind, event := range kinds() {
		a, _ := invoke(t, event, func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Content-Length", "Connection", "Transfer-Encoding", "Date", "X-Kept"} {
				w.Header().Set(name, "1")
			}
			w.Header()["content-length"] = []string{"1"}
			w.WriteHeader(200)
		})
		if len(a.Headers)+len(a.MultiValueHeaders) != 1 || a.Headers["X-Kept"] == "" && a.MultiValueHeaders["X-Kept"] == nil {
			t.Errorf("%s: headers %v %v, want only X-Kept", kind, a.Headers, a.MultiValueHeaders)
		}
	}
}
