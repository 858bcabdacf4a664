package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/twitchtv/twirp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// secureWorld is a program whose callers need an identity, and what they need to call it.
type secureWorld struct {
	*program
	env            *testenv.Env
	user           string
	callers, ca    string // files
	authority      testenv.Authority
	issuer         *testenv.Issuer
	signingKey     jose.JSONWebKey
	server         *x509.CertPool
	entries        string // of CALLERS_FILE, without the keys
	certificateURI string
}

func newSecureWorld(t *testing.T) *secureWorld {
	t.Helper()
	e := testenv.New(t, "plugins", "miniredis")
	certFile, keyFile, roots := certificate(t)
	dir := t.TempDir()
	w := &secureWorld{
		env: e, user: e.AddUser(t, "Alice"), callers: filepath.Join(dir, "callers.yaml"), ca: filepath.Join(dir, "ca.pem"),
		authority: testenv.NewAuthority(t, time.Now()), signingKey: testenv.NewSigningKey(t, "1", jose.ES256), server: roots,
		certificateURI: "spiffe://game/world",
	}
	w.issuer = testenv.NewIssuer(t, w.signingKey)
	w.entries = `callers:
  by-certificate: {roles: [world], certificates: ["` + w.certificateURI + `"]}
  by-token: {roles: [world], subjects: ["` + testenv.TokenSubject + `"]}
`
	testenv.ReplaceFile(t, w.callers, w.entries)
	testenv.ReplaceFile(t, w.ca, w.authority.PEM())
	w.program = start(t, append(outside(e), "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "TLS_CLIENT_CA_FILE="+w.ca, "CALLERS_FILE="+w.callers,
		"OIDC_ISSUER="+w.issuer.URL, "OIDC_AUDIENCE="+testenv.TokenAudience))
	w.url = "https" + strings.TrimPrefix(w.url, "http")
	return w
}

func (w *secureWorld) tls(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: w.server, Certificates: certs, MinVersion: tls.VersionTLS12}
}

// clients calls GetUser by each protocol: Twirp over HTTP/1 and HTTP/2, and gRPC. Each call has its own credentials.
func (w *secureWorld) clients(t *testing.T, certs ...tls.Certificate) map[string]func(bearer string) error {
	t.Helper()
	clients := map[string]func(string) error{}
	for _, protocol := range []string{"HTTP/1", "HTTP/2"} {
		transport := &http.Transport{TLSClientConfig: w.tls(certs...), ForceAttemptHTTP2: protocol == "HTTP/2"}
		t.Cleanup(transport.CloseIdleConnections)
		users := databasev1.NewUserServiceProtobufClient(w.url, &http.Client{Transport: transport})
		clients[protocol] = func(bearer string) error {
			ctx := context.WithoutCancel(t.Context())
			if bearer != "" {
				var err error
				if ctx, err = twirp.WithHTTPRequestHeaders(ctx, http.Header{"Authorization": {"Bearer " + bearer}}); err != nil {
					return err
				}
			}
			_, err := users.GetUser(ctx, &databasev1.GetUserRequest{UserId: w.user})
			return err
		}
	}
	c, err := grpc.NewClient(strings.TrimPrefix(w.url, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(w.tls(certs...))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	clients["gRPC"] = func(bearer string) error {
		ctx := context.WithoutCancel(t.Context())
		if bearer != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
		}
		return c.Invoke(ctx, getUserMethod, &databasev1.GetUserRequest{UserId: w.user}, &databasev1.GetUserResponse{})
	}
	return clients
}

func (w *secureWorld) issue(t *testing.T) tls.Certificate {
	return w.authority.Issue(t, testenv.URI(t, w.certificateURI)).TLS()
}

// TestCredentials presents each kind of credential by each protocol.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	token := w.issuer.Token(t, w.signingKey, nil)
	for protocol, call := range w.clients(t, w.issue(t)) {
		if err := call(""); err != nil {
			t.Errorf("%s, certificate: %v", protocol, err)
		}
		if err := call(token); reasonOfCall(err) != "TWO_IDENTITIES" {
			t.Errorf("%s, certificate and token: %v, want TWO_IDENTITIES", protocol, err)
		}
	}
	stranger := testenv.NewAuthority(t, time.Now()).Issue(t, testenv.URI(t, w.certificateURI))
	for protocol, call := range w.clients(t, stranger.TLS()) {
		if err := call(""); reasonOfCall(err) != "IDENTITY_REFUSED" {
			t.Errorf("%s, certificate of a stranger: %v, want IDENTITY_REFUSED", protocol, err)
		}
	}
	for protocol, call := range w.clients(t) {
		if err := call(token); err != nil {
			t.Errorf("%s, token: %v", protocol, err)
		}
		if err := call(""); reasonOfCall(err) != "NO_IDENTITY" {
			t.Errorf("%s, nothing: %v, want NO_IDENTITY", protocol, err)
		}
	}
	for _, name := range []string{`"caller":"by-certificate"`, `"caller":"by-token"`, `"caller":""`, `"cause":"the certificate is not from an authority in TLS_CLIENT_CA_FILE"`} {
		eventually(t, name+" in the log", func() bool { return strings.Contains(w.stderr.String(), name) })
	}
	if log := w.stderr.String(); strings.Contains(log, token[:20]) {
		t.Error("the log has the token")
	}
}

// reasonOfCall returns the reason of a Twirp or a gRPC error.
func reasonOfCall(err error) string {
	if reason := reasonOf(err); reason != "" {
		return reason
	}
	reason, _ := reasonOfStatus(status.Convert(err))
	return reason
}

// steadyCallers call without a pause, each time by the newest way.
type steadyCallers struct {
	calls, failed atomic.Int64
	last          atomic.Pointer[error]
	way           atomic.Pointer[func() error]
	used          [2]atomic.Pointer[func() error] // by each of them, in its last finished call
	end           context.CancelFunc
	all           sync.WaitGroup
}

// use makes them call by another way, and waits until all of them do.
func (s *steadyCallers) use(t *testing.T, call func() error) {
	t.Helper()
	if s.way.Swap(&call) == nil {
		s.start()
	}
	enough := s.calls.Load() + 50
	eventually(t, "the calls by the new way", func() bool {
		return s.calls.Load() >= enough && s.used[0].Load() == &call && s.used[1].Load() == &call
	})
}

func (s *steadyCallers) start() {
	var ctx context.Context
	ctx, s.end = context.WithCancel(context.Background())
	for i := range s.used {
		s.all.Go(func() {
			for ctx.Err() == nil {
				way := s.way.Load()
				if err := (*way)(); err != nil {
					s.failed.Add(1)
					s.last.Store(&err)
				}
				s.used[i].Store(way)
				s.calls.Add(1)
			}
		})
	}
}

func (s *steadyCallers) stop() {
	s.end()
	s.all.Wait()
}

// TestRotations replaces a key, an authority, an issuer's key and the cache's secret while callers use them. No request may fail.
// TestSecretsManager does so with PostgreSQL's password.
func TestRotations(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	wait := func(call func() error) { // until the program has read the file
		eventually(t, "the change", func() bool { return call() == nil })
	}
	for what, rotate := range map[string]func(t *testing.T, use func(call func() error)){
		"API key": func(t *testing.T, use func(func() error)) {
			call := w.clients(t)["HTTP/1"]
			entry := func(k callers.Key) string {
				text, err := callers.Entry("by-key", []string{"world"}, k, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimPrefix(text, "callers:\n")
			}
			first, second := callers.NewKey(), callers.NewKey()
			testenv.ReplaceFile(t, w.callers, w.entries+entry(first))
			wait(func() error { return call(first.Text) })
			use(func() error { return call(first.Text) })
			_, keys, _ := strings.Cut(entry(second), "    keys:\n")
			testenv.ReplaceFile(t, w.callers, w.entries+entry(first)+keys)
			wait(func() error { return call(second.Text) })
			use(func() error { return call(second.Text) })
			testenv.ReplaceFile(t, w.callers, w.entries+entry(second))
			eventually(t, "the end of the old key", func() bool { return call(first.Text) != nil })
		},
		"authority": func(t *testing.T, use func(func() error)) {
			before := w.clients(t, w.issue(t))["gRPC"]
			use(func() error { return before("") })
			old := w.authority
			w.authority = testenv.NewAuthority(t, time.Now())
			after := w.clients(t, w.issue(t))["gRPC"]
			testenv.ReplaceFile(t, w.ca, old.PEM()+w.authority.PEM())
			wait(func() error { return after("") })
			use(func() error { return after("") })
			testenv.ReplaceFile(t, w.ca, w.authority.PEM())
			eventually(t, "the end of the old authority, on an open connection", func() bool { return before("") != nil })
		},
		"issuer's key": func(t *testing.T, use func(func() error)) {
			call := w.clients(t)["HTTP/2"]
			old := w.issuer.Token(t, w.signingKey, nil)
			use(func() error { return call(old) })
			next := testenv.NewSigningKey(t, "2", jose.RS256)
			w.issuer.Publish(w.signingKey, next)
			text := w.issuer.Token(t, next, nil)
			use(func() error { return call(text) })
			w.issuer.Publish(next)
			use(func() error { return call(text) })
			w.issuer.Publish(w.signingKey)
		},
		"cache's secret": func(t *testing.T, use func(func() error)) {
			call, token := w.clients(t)["HTTP/1"], w.issuer.Token(t, w.signingKey, nil)
			use(func() error { return call(token) })
			w.env.OwnerExec(t, "UPDATE game.cache_key SET key = DEFAULT")
			use(func() error { return call(token) })
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := &steadyCallers{}
			rotate(t, func(call func() error) { s.use(t, call) })
			s.use(t, *s.way.Load())
			s.stop()
			if failed := s.failed.Load(); failed > 0 {
				t.Errorf("%d of %d requests failed, the last with %v", failed, s.calls.Load(), *s.last.Load())
			}
		})
	}
}

// TestIdentityBeforeBody checks that a request without an identity is refused, and is out of the limits, before its body has come.
// The answer waits for the body, because net/http keeps the connection only if it has read all of a request.
func TestIdentityBeforeBody(t *testing.T) {
	t.Parallel()
	file, _, _ := reportCallers(t)
	p := start(t, append(outside(testenv.New(t, "plugins", "miniredis")), "CALLERS_FILE="+file))
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %sGetUser HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n", databasev1.UserServicePathPrefix)
	eventually(t, "the refusal", func() bool { return strings.Contains(p.stderr.String(), `"reason":"NO_IDENTITY"`) })
	fmt.Fprint(c, "{}")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%s with WWW-Authenticate %q, want 401 and Bearer", response.Status, response.Header.Get("WWW-Authenticate"))
	}
}
