package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// http2Client is an HTTP/2 client that counts its connections.
type http2Client struct {
	*http.Client
	url   string
	conns int
}

// newHTTP2Client returns a client that offers HTTP/1 too, if the server has TLS.
func newHTTP2Client(t *testing.T, url string, c *tls.Config) *http2Client {
	t.Helper()
	h := &http2Client{url: url}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, Protocols: &http.Protocols{}}
	if c == nil {
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		transport.Protocols.SetHTTP1(true)
		transport.Protocols.SetHTTP2(true)
	}
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		h.conns++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	t.Cleanup(transport.CloseIdleConnections)
	h.Client = &http.Client{Transport: transport}
	return h
}

// grpc calls GetUser by gRPC, and returns the status.
func (c *http2Client) grpc(t *testing.T, user string) (status int, grpcStatus string) {
	t.Helper()
	message, err := proto.Marshal(&databasev1.GetUserRequest{UserId: user})
	if err != nil {
		t.Fatal(err)
	}
	r := c.send(t, http.MethodPost, "/osirose.database.v1.UserService/GetUser", "application/grpc", append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
	return r.StatusCode, r.Header.Get("Grpc-Status") + r.Trailer.Get("Grpc-Status")
}

// twirp calls GetUser by Twirp, and returns the status.
func (c *http2Client) twirp(t *testing.T, user string) int {
	t.Helper()
	return c.send(t, http.MethodPost, "/twirp/osirose.database.v1.UserService/GetUser", "application/json", []byte(`{"user_id":"`+user+`"}`)).StatusCode
}

func (c *http2Client) send(t *testing.T, method, path, contentType string, body []byte) *http.Response {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", contentType)
	r, err := c.Do(q)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.ProtoMajor != 2 {
		t.Fatalf("%s %s by %s: %v, want HTTP/2", method, path, r.Proto, err)
	}
	return r
}

// TestCompressedMessage checks that the program accepts gzip, as its documents say, and not only the package of its server.
func TestCompressedMessage(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	p := start(t, outside(e))
	got := databasev1.GetUserResponse{}
	err := p.dial(t).Invoke(t.Context(), "/osirose.database.v1.UserService/GetUser", &databasev1.GetUserRequest{UserId: user}, &got, grpc.UseCompressor(gzip.Name))
	if err != nil || got.User.GetId() != user {
		t.Errorf("GetUser in gzip = %v, %v, want the user", got.User, err)
	}
}

// TestHTTP2 calls the port by HTTP/2, in plain text and by TLS: the first request of a connection decides who serves it.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	certFile, keyFile, roots := certificate(t)
	plain := start(t, outside(e))
	secure := start(t, append(outside(e), "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile))
	for what, server := range map[string]struct {
		p   *program
		url string
		tls *tls.Config
	}{
		"plaintext": {plain, plain.url, nil},
		"TLS":       {secure, strings.Replace(secure.url, "http:", "https:", 1), &tls.Config{RootCAs: roots}},
	} {
		t.Run(what, func(t *testing.T) {
			client := func() *http2Client { return newHTTP2Client(t, server.url, server.tls.Clone()) }
			g := client()
			for range 2 {
				if status, code := g.grpc(t, user); status != http.StatusOK || code != "0" {
					t.Errorf("GetUser by gRPC = %d, Grpc-Status %s, want 200 and 0", status, code)
				}
			}
			if status := g.twirp(t, user); status != http.StatusUnsupportedMediaType || g.conns != 1 {
				t.Errorf("GetUser by Twirp on a connection of gRPC = %d on %d connections, want 415 on one", status, g.conns)
			}
			w := client()
			for path, want := range map[string]int{"/": http.StatusOK, "/healthz": http.StatusOK, "/readyz": http.StatusOK, "/x": http.StatusNotFound} {
				if got := w.send(t, http.MethodGet, path, "", nil).StatusCode; got != want {
					t.Errorf("GET %s = %d, want %d", path, got, want)
				}
			}
			users := databasev1.NewUserServiceProtobufClient(server.url, w.Client)
			if got, err := users.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: user}); err != nil || got.User.Id != user {
				t.Errorf("GetUser by Twirp = %v, %v, want the user", got, err)
			}
			large := bytes.Repeat([]byte(" "), 3<<20)
			if got := w.send(t, http.MethodPost, "/twirp/osirose.database.v1.UserService/GetUser", "application/json", large).StatusCode; got != http.StatusBadRequest {
				t.Errorf("GetUser with 3 MiB = %d, want 400", got)
			}
			if status, code := w.grpc(t, user); status != http.StatusOK || code != "14" || w.conns != 1 {
				t.Errorf("GetUser by gRPC on a connection of Twirp = %d, Grpc-Status %s, on %d connections; want 200 and %s on one", status, code, w.conns, codes.Unavailable)
			}
			// The server closes that connection for new requests.
			eventually(t, "GetUser by gRPC on a second connection", func() bool {
				_, code := w.grpc(t, user)
				return code == "0"
			})
			if w.conns != 2 {
				t.Errorf("%d connections, want 2", w.conns)
			}
			server.p.signal(t, syscall.SIGTERM)
			server.p.wantExit(t, 0)
			if _, err := w.Get(server.url); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("GET after the end = %v, want the connection refused", err)
			}
		})
	}
}
