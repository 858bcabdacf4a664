package gateway

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestGatewayIsIdentity sends random requests to a handler twice: directly, and through a gateway and the production adapter.
// Neither the handler nor the client may see a difference, except those that seenRequest and seenResponse name.
func TestGatewayIsIdentity(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("GATEWAY_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for i, kind := range allKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			g := generator{rand.New(rand.NewPCG(seed, uint64(i))), kind}
			var now exchangeCase
			var got *seenRequest
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = see(t, kind, r)
				now.answer(w)
			})
			direct := httptest.NewServer(handler)
			defer direct.Close()
			through := "http://" + serve(t, Config{
				Default: kind, Routes: everything(adapted(handler)), BinaryTypes: []string{"*/*"},
			})
			client := &http.Transport{DisableCompression: true}
			defer client.CloseIdleConnections()
			for n := range 100 {
				now = g.exchange()
				wantAnswer, wantRequest := now.do(t, client, direct.URL), got
				got = nil
				gotAnswer := now.do(t, client, through)
				if diff := cmp.Diff(wantRequest, got) + cmp.Diff(wantAnswer, gotAnswer); diff != "" {
					t.Fatalf("GATEWAY_SEED=%d, case %d, %s %s: direct and through the gateway differ:\n%s", seed, n, now.method, now.target, diff)
				}
			}
		})
	}
}

// exchangeCase is a request and the response to it.
type exchangeCase struct {
	method, target string
	header         http.Header
	body           []byte
	chunked        bool

	status       int
	answerHeader http.Header
	answerBody   []byte
}

func (c exchangeCase) answer(w http.ResponseWriter) {
	for name, values := range c.answerHeader {
		w.Header()[name] = values
	}
	w.WriteHeader(c.status)
	_, _ = w.Write(c.answerBody) // fails for a status that has no body
}

// seenRequest is a request as the handler sees it. Lists are joined, as most gateways do. It omits the length, which a REST
// API never sends and the HTTP API always sends, and what gateways add and the adapter removes.
type seenRequest struct {
	Method, Path, Query, Host string
	Header                    map[string]string
	Body                      []byte
}

func see(t *testing.T, kind Kind, r *http.Request) *seenRequest {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	s := &seenRequest{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, map[string]string{}, body}
	if kind == HTTPAPI {
		s.Path = r.URL.Path // the HTTP API sends the path unescaped
	}
	if kind != HTTPAPI && kind != FunctionURL {
		// Names and values arrive; their order and their escapes are lost.
		values, err := url.ParseQuery(s.Query)
		if err != nil {
			t.Error(err)
		}
		s.Query = values.Encode()
	}
	for name, values := range r.Header {
		if name == "Content-Length" || name == "X-Amzn-Trace-Id" || strings.HasPrefix(name, "X-Forwarded-") {
			continue
		}
		s.Header[name] = strings.Join(values, ",")
	}
	return s
}

// seenResponse is a response as the client sees it, without what net/http and the gateways add.
type seenResponse struct {
	Status int
	Header map[string]string
	Cookie []string
	Body   []byte
}

func (c exchangeCase) do(t *testing.T, client http.RoundTripper, base string) seenResponse {
	t.Helper()
	var body io.Reader = bytes.NewReader(c.body)
	if c.chunked {
		body = io.MultiReader(body)
	}
	r, err := http.NewRequest(c.method, base+c.target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header, r.Host = c.header, "db.example.com"
	got, err := client.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	defer got.Body.Close()
	s := seenResponse{Status: got.StatusCode, Header: map[string]string{}, Cookie: got.Header["Set-Cookie"]}
	if s.Body, err = io.ReadAll(got.Body); err != nil {
		t.Fatalf("%s %s: read the response: %v", c.method, c.target, err)
	}
	for name, values := range got.Header {
		switch name {
		case "Content-Length", "Date", "Set-Cookie", "Apigw-Requestid", "X-Amzn-Requestid", "X-Amz-Apigw-Id":
		default:
			s.Header[name] = strings.TrimSpace(strings.Join(values, ", ")) // a last value may be empty
		}
	}
	return s
}

// generator makes requests that clients can send and gateways do not change: one value for each name with a load balancer
// that sends one; no escaped percent and question mark with the HTTP API, which unescapes paths; UTF-8 in headers and in
// bodies of a text type.
type generator struct {
	*rand.Rand
	kind Kind
}

func (g generator) exchange() exchangeCase {
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	c := exchangeCase{method: pick(g, methods), header: g.header("X-Request"), answerHeader: g.header("X-Answer"), chunked: g.IntN(8) == 0}
	c.target = g.path()
	if query := g.query(); query != "" {
		c.target += "?" + query
	}
	c.body = g.body(c.header, true)
	if g.IntN(3) == 0 {
		c.header.Set("Cookie", "a="+g.token()+"; b="+g.token())
	}
	if g.IntN(3) == 0 {
		c.header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+g.token()+"/20261122/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature="+g.token())
	}
	c.status = pick(g, []int{200, 200, 200, 201, 204, 301, 304, 400, 401, 404, 429, 500, 503, 599})
	c.answerBody = g.body(c.answerHeader, false)
	for range g.IntN(3) {
		c.answerHeader.Add("Set-Cookie", g.token()+"="+g.token()+"; Expires=Wed, 09 Jun 2027 10:18:14 GMT")
		if g.kind == ALB {
			break
		}
	}
	return c
}

func (g generator) path() string {
	parts := []string{"a", "b.c", "_", "-~", "", "%20", "%C3%A9", "%22", "%23", "!$&'()*+,;=:@", "%2Ftwirp"}
	if g.kind != HTTPAPI {
		parts = append(parts, "%25", "%3F", "%2F")
	}
	var b strings.Builder
	b.WriteString("/twirp/x")
	for range g.IntN(6) {
		b.WriteString("/" + pick(g, parts) + pick(g, parts))
	}
	return b.String()
}

func (g generator) query() string {
	var pairs []string
	for i := range g.IntN(5) {
		name := pick(g, []string{"a", "b%20", "%C3%A9", "c.d", "e%26"}) + g.token()
		if g.kind == ALB {
			name += strconv.Itoa(i)
		}
		value := pick(g, []string{"", "=", "=x", "=%20y+z", "=%3D%26", "=" + url.QueryEscape(g.text())})
		pairs = append(pairs, name+value)
		if g.kind != ALB && g.IntN(3) == 0 {
			pairs = append(pairs, name+"=again")
		}
	}
	return strings.Join(pairs, "&")
}

func (g generator) header(prefix string) http.Header {
	h := http.Header{}
	for i := range g.IntN(8) {
		name := http.CanonicalHeaderKey(prefix + "-" + strconv.Itoa(i) + pick(g, []string{"", "x.y", "a_b", "~!#$%&'*+^`|"}))
		h.Add(name, g.text())
		if g.kind != ALB && g.IntN(3) == 0 {
			h.Add(name, g.text())
		}
	}
	if g.IntN(2) == 0 {
		h.Set(pick(g, []string{"If-Modified-Since", "Last-Modified", "Vary", "Cache-Control", "Etag", "Range", "Accept", "Location"}), pick(g, []string{
			"Wed, 09 Jun 2027 10:18:14 GMT", `W/"abc"`, "bytes=0-499", "application/protobuf;q=0.5, */*",
		}))
	}
	return h
}

// body also sets the content type.
func (g generator) body(h http.Header, untyped bool) []byte {
	types := []string{"application/protobuf", "application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"}
	texts := []string{"text/plain", "TEXT/html; charset=utf-8", "application/json", "application/json; charset=utf-8", "application/xml", "application/javascript", "application/problem+json"}
	size := pick(g, []int{0, 1, 2, 3, 50, 5000})
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	switch {
	case untyped && g.IntN(6) == 0:
	case g.IntN(2) == 0:
		h.Set("Content-Type", pick(g, types))
	default:
		h.Set("Content-Type", pick(g, texts))
		b = []byte(strings.ToValidUTF8(string(b), "\u2028<&>\""))
	}
	if g.IntN(10) == 0 && !untyped {
		h.Set("Content-Encoding", "br")
	}
	return b
}

func (g generator) token() string { return fmt.Sprintf("%x", g.Uint32()) }

// text returns a header's value: printable ASCII, other letters, commas, quotes and tabs, without white space around it.
func (g generator) text() string {
	runes := []rune(`abz019 ,;:="\/<>&%+?#@!'()[]{}|~^` + "`\té☃\U0001F600")
	b := make([]rune, g.IntN(30))
	for i := range b {
		b[i] = pick(g, runes)
	}
	return strings.Trim(string(b), " \t")
}

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }
