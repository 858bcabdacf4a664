package lambdahttp_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// exchange is a request and its response. Client and handler must see the same.
type exchange struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         []byte

	Status     int
	Answer     http.Header
	AnswerBody []byte
}

const tries = 500

// TestExchange sends random requests and responses through events of all kinds. It compares what one side sends with
// what the other side gets.
func TestExchange(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for kind, event := range map[string]func(exchange) any{"v2": asV2, "v1": asV1, "alb": asALB, "alb multi": asALBMulti} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := generator{rand.New(rand.NewPCG(seed, 0))}
			for i := range tries {
				values := 3
				if kind == "v2" || kind == "alb" {
					values = 1
				}
				want := g.exchange(values)
				got := exchanged(t, want, event(want))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d, try %d: another exchange (-want +got):\n%s", seed, i, diff)
				}
			}
		})
	}
}

// exchanged runs a handler that gives x's response. It returns the exchange as the other sides saw it.
func exchanged(t *testing.T, x exchange, event any) exchange {
	t.Helper()
	a, saw := invoke(t, event, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range x.Answer {
			w.Header()[name] = values
		}
		w.WriteHeader(x.Status)
		for _, part := range [][]byte{x.AnswerBody[:len(x.AnswerBody)/2], x.AnswerBody[len(x.AnswerBody)/2:]} {
			_, _ = w.Write(part)
		}
	})
	got := exchange{saw.Method, saw.URL.Path, saw.URL.Query(), saw.Header, saw.body, a.StatusCode, http.Header{}, a.Body}
	for name, value := range a.Headers {
		got.Answer[name] = []string{value}
	}
	for name, values := range a.MultiValueHeaders {
		got.Answer[name] = values
	}
	if a.Cookies != nil {
		got.Answer["Set-Cookie"] = a.Cookies
	}
	if uri, err := url.ParseRequestURI(saw.RequestURI); err != nil || uri.Path != x.Path || uri.RawQuery != saw.URL.RawQuery {
		t.Errorf("RequestURI = %q, %v, want that of path %q and query %q", saw.RequestURI, err, x.Path, saw.URL.RawQuery)
	}
	return got
}

type generator struct{ *rand.Rand }

// exchange makes a random exchange with up to values values for each header and each name of the query.
func (g generator) exchange(values int) exchange {
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"}
	types := []string{"application/protobuf", "application/json", "text/plain; charset=utf-8", "image/png", "application/x-unknown"}
	x := exchange{
		Method: methods[g.IntN(len(methods))], Path: "/-" + g.text(), Query: url.Values{}, Header: g.header(values), Body: g.bytes(),
		Status: 200 + g.IntN(400), Answer: g.header(values), AnswerBody: g.bytes(),
	}
	for range g.IntN(4) {
		name := g.text()
		x.Query[name] = nil
		for range 1 + g.IntN(values) {
			x.Query.Add(name, g.text())
		}
	}
	x.Answer["Content-Type"] = []string{types[g.IntN(len(types))]}
	if x.Status == http.StatusNoContent || x.Status == http.StatusNotModified {
		x.AnswerBody = []byte{}
	}
	return x
}

func (g generator) header(values int) http.Header {
	h := http.Header{}
	for range g.IntN(6) {
		name := fmt.Sprintf("X-Any-%d", g.IntN(100))
		h[name] = nil
		for range 1 + g.IntN(values) {
			h.Add(name, strings.Join(strings.Fields(g.text()), " "))
		}
	}
	if g.IntN(2) == 0 {
		h["Cookie"], h["Set-Cookie"] = []string{"a=1, 2; b=\"3\""}, []string{"a=1; Expires=Sun, 22 Nov 2026 18:45:01 GMT"}
	}
	return h
}

// text returns a string with characters that need escapes somewhere.
func (g generator) text() string {
	runes := []rune("abc XYZ019-_.~!*'();:@&=+$,/?#[]%\"\\<>|^`{}\t\u00fc\u20ac\u2028\U0001f600")
	b := make([]rune, g.IntN(12))
	for i := range b {
		b[i] = runes[g.IntN(len(runes))]
	}
	return string(b)
}

// bytes returns a body: empty, text or binary.
func (g generator) bytes() []byte {
	b := []byte(g.text())
	if g.IntN(2) == 0 {
		for i := range b {
			b[i] = byte(g.Uint32())
		}
	}
	return b
}

// encoded returns a request's body as a gateway sends it.
func encoded(body []byte) (string, bool) {
	if utf8.Valid(body) && len(body)%2 == 0 {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

// first returns the first value of each name.
func first(from map[string][]string, name func(string) string) map[string]string {
	to := map[string]string{}
	for n, values := range from {
		to[name(n)] = name(values[0])
	}
	return to
}

func same(s string) string { return s }

func asV2(x exchange) any {
	e := v2Event()
	e.RequestContext.HTTP.Method, e.RawPath, e.RawQueryString = x.Method, (&url.URL{Path: x.Path}).EscapedPath(), x.Query.Encode()
	e.Headers = map[string]string{}
	for name, values := range x.Header {
		e.Headers[strings.ToLower(name)] = values[0]
	}
	if cookie, ok := e.Headers["cookie"]; ok {
		delete(e.Headers, "cookie")
		e.Cookies = strings.Split(cookie, "; ")
	}
	e.Body, e.IsBase64Encoded = encoded(x.Body)
	return e
}

func asV1(x exchange) any {
	e := events.APIGatewayProxyRequest{HTTPMethod: x.Method, Path: (&url.URL{Path: x.Path}).EscapedPath()}
	e.MultiValueHeaders, e.Headers = x.Header, first(x.Header, same)
	e.MultiValueQueryStringParameters, e.QueryStringParameters = x.Query, first(x.Query, same)
	e.Body, e.IsBase64Encoded = encoded(x.Body)
	return e
}

func asALB(x exchange) any {
	e := albEvent()
	e.HTTPMethod, e.Path = x.Method, (&url.URL{Path: x.Path}).EscapedPath()
	e.Headers, e.QueryStringParameters = first(x.Header, same), first(x.Query, url.QueryEscape)
	e.Body, e.IsBase64Encoded = encoded(x.Body)
	return e
}

func asALBMulti(x exchange) any {
	e := asALB(x).(events.ALBTargetGroupRequest)
	e.Headers, e.QueryStringParameters = nil, nil
	e.MultiValueHeaders = map[string][]string{"host": {"lb"}}
	for name, values := range x.Header {
		e.MultiValueHeaders[name] = values
	}
	e.MultiValueQueryStringParameters = map[string][]string{}
	for name, values := range x.Query {
		for _, value := range values {
			name := url.QueryEscape(name)
			e.MultiValueQueryStringParameters[name] = append(e.MultiValueQueryStringParameters[name], url.QueryEscape(value))
		}
	}
	return e
}
