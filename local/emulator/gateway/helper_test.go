package gateway

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

// adapted runs a handler in the adapter of the real functions.
func adapted(handler http.Handler) Function {
	adapter := lambdahttp.New(slog.New(slog.DiscardHandler), handler)
	return func(ctx context.Context, _ Kind, _ string, event []byte) Result {
		payload, err := adapter.Invoke(ctx, event)
		return Result{Payload: payload, Failed: err != nil}
	}
}

// returning always returns the same document.
func returning(payload string) Function {
	return func(context.Context, Kind, string, []byte) Result { return Result{Payload: []byte(payload)} }
}

func allKinds() []Kind { return []Kind{HTTPAPI, RESTAPI, FunctionURL, ALB, ALBMulti} }

// everything routes all requests to f.
func everything(f Function) map[Kind][]Route {
	return map[Kind][]Route{HTTPAPI: {{"ANY", "/{proxy+}", f, "F"}, {"ANY", "/", f, "F"}}}
}

// serve starts a server of the gateways and returns its address.
func serve(t *testing.T, c Config) string {
	t.Helper()
	if c.Now == nil {
		c.Now = func() time.Time { return time.Date(2026, 11, 22, 9, 8, 7, 654e6, time.UTC) }
	}
	s := httptest.NewServer(New(c))
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
	go func() { _, _ = io.WriteString(conn, request) }() // the server may respond and close before it has read everything
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

// httpRequest returns the request with these lines of the head and this body.
func httpRequest(body string, head ...string) string {
	return strings.Join(head, "\r\n") + "\r\n\r\n" + body
}
