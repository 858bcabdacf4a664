package emulator

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/lambdahttp"
)

// functionDouble is a function that a test writes down.
type functionDouble func(context.Context, invocation) outcome

func (f functionDouble) invoke(ctx context.Context, in invocation) outcome { return f(ctx, in) }

// adapted runs a handler in the adapter that the real functions have.
func adapted(handler http.Handler) functionDouble {
	adapter := lambdahttp.New(slog.New(slog.DiscardHandler), handler)
	return func(ctx context.Context, in invocation) outcome {
		payload, err := adapter.Invoke(ctx, in.payload)
		return outcome{payload: payload, failed: err != nil}
	}
}

// returning is a function that returns always the same document.
func returning(payload string) functionDouble {
	return func(context.Context, invocation) outcome { return outcome{payload: []byte(payload)} }
}

func gatewayKinds() []Gateway { return []Gateway{HTTPAPI, RESTAPI, FunctionURL, ALB, ALBMulti} }

// everything leads all requests to f.
func everything(f function) map[Gateway][]route {
	return map[Gateway][]route{HTTPAPI: {{"ANY", "/{proxy+}", f, "F"}, {"ANY", "/", f, "F"}}}
}

// serveGateway starts a server and returns its address.
func serveGateway(t *testing.T, c gatewayConfig) string {
	t.Helper()
	if c.now == nil {
		c.now = func() time.Time { return time.Date(2026, 11, 22, 9, 8, 7, 654e6, time.UTC) }
	}
	s := httptest.NewServer(newGateway(c))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// exchange sends bytes and returns the response to them.
func exchange(t *testing.T, address, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, request) }() // the server may answer and close before it has all
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read the response: %v", err)
	}
	return r, string(body)
}

// lines makes a request of its head's lines and its body.
func httpRequest(body string, head ...string) string {
	return strings.Join(head, "\r\n") + "\r\n\r\n" + body
}
