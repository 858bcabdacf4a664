package sigv4_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/sigv4"
)

const (
	secret = "secret/of+the=tests"
	token  = "session-token-of-the-tests"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func request(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func answer(status int, body string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: &closing{Reader: strings.NewReader(body)}}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

// strict is a server that verifies signatures. It answers by next if that is set, otherwise with 200 and the body.
func strict(t testing.TB, next func(r *http.Request, body []byte) *http.Response) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verify(r, body, secret)
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.RequestURI, err)
		}
		if got := r.Header.Get("X-Amz-Security-Token"); got != token {
			t.Errorf("X-Amz-Security-Token = %q, want %q", got, token)
		}
		var resp *http.Response
		if next != nil {
			resp = next(r, body)
		}
		if resp == nil {
			_, _ = w.Write(body)
			return
		}
		for k := range resp.Header {
			w.Header().Set(k, resp.Header.Get(k))
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(s.Close)
	return s
}

func transport() *sigv4.Transport {
	return &sigv4.Transport{Credentials: fixed("AKIDTESTS", secret, token), Region: "eu-central-1"}
}

// TestSigned verifies signatures on the server's side of a connection.
func TestSigned(t *testing.T) {
	t.Parallel()
	s := strict(t, nil)
	for _, path := range []string{
		"/twirp/osirose.database.v1.UserService/GetUser", "/prod/twirp/osirose.database.v1.UserService/GetUser", "", "/", "/a:b/c",
		"/a%20b", "/a%2Fb", "/%E2%82%AC", "/100%25", "/a+b", "/~a_b-c.d/", "/a@b;c=d,e!f$g&h'i(j)k*l",
		"/q?b=2&a=1", "/q?a=b&a=a", "/q?a", "/q?a=", "/q?a=x%20y&b=%2F%3D%26&c=~-_.", "/q?a=a%2Fb&a=a-b", "/q?%C3%A9=%C3%A9",
	} {
		for _, body := range []string{"", "text", "\x00\x0a\x20binary\xff", strings.Repeat("long", 1<<16)} {
			r := request(t, http.MethodPost, s.URL+path, body)
			r.Header.Set("Content-Type", "application/protobuf")
			r.Header["X-Two"] = []string{"  a   b ", "c"}
			before := r.Clone(r.Context())
			resp, err := (&http.Client{Transport: transport()}).Do(r)
			if err != nil {
				t.Fatalf("POST %s: %v", path, err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body || resp.StatusCode != http.StatusOK {
				t.Errorf("POST %s = %d, %v, %d bytes, want 200 and the %d bytes that were sent", path, resp.StatusCode, err, len(got), len(body))
			}
			_ = resp.Body.Close()
			if diff := cmp.Diff(before.Header, r.Header); diff != "" || r.URL.String() != before.URL.String() {
				t.Errorf("POST %s changed the caller's request, to %s (-want +got):\n%s", path, r.URL, diff)
			}
		}
	}
}

// TestTwirp calls through a generated client.
func TestTwirp(t *testing.T) {
	t.Parallel()
	s := strict(t, func(r *http.Request, _ []byte) *http.Response {
		if want := "/prod/twirp/osirose.database.v1.UserService/GetUser"; r.URL.Path != want {
			t.Errorf("the path is %s, want %s", r.URL.Path, want)
		}
		b, err := proto.Marshal(&databasev1.GetUserResponse{User: &databasev1.User{Id: "42"}})
		if err != nil {
			t.Error(err)
		}
		return answer(http.StatusOK, string(b), "Content-Type", "application/protobuf")
	})
	users := databasev1.NewUserServiceProtobufClient(s.URL+"/prod", &http.Client{Transport: transport()})
	got, err := users.GetUser(t.Context(), &databasev1.GetUserRequest{UserId: "42"})
	if err != nil || got.User.Id != "42" {
		t.Errorf("GetUser = %v, %v, want user 42", got, err)
	}
}

func TestServiceName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ service, url, want string }{
		{"", "https://a1b2.execute-api.eu-central-1.amazonaws.com/x", "execute-api"},
		{"", "https://db.example.com/x", "execute-api"},
		{"", "https://a1b2.lambda-url.eu-central-1.on.aws/x", "lambda"},
		{"", "https://a1b2.lambda-url.eu-central-1.on.aws:443/x", "lambda"},
		{"", "https://lambda-url.example.com/x", "execute-api"},
		{"", "https://x.lambda-url.on.aws.example.com/x", "execute-api"},
		{"vpc-lattice-svcs", "https://a1b2.lambda-url.eu-central-1.on.aws/x", "vpc-lattice-svcs"},
	} {
		var got string
		tr := transport()
		tr.Service = test.service
		tr.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
			got = authorization.FindStringSubmatch(r.Header.Get("Authorization"))[4]
			return answer(http.StatusOK, ""), nil
		})
		if _, err := tr.RoundTrip(request(t, http.MethodPost, test.url, "")); err != nil || got != test.want {
			t.Errorf("%s with Service %q is signed for %q, %v, want %q", test.url, test.service, got, err, test.want)
		}
	}
}

func TestMissingCredentials(t *testing.T) {
	t.Parallel()
	broken := errors.New("no role")
	for name, tr := range map[string]*sigv4.Transport{
		"no credentials": {Region: "eu-central-1"},
		"no region":      {Credentials: fixed("a", "b", "c")},
		"a provider that fails": {Region: "eu-central-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, broken
		})},
	} {
		tr.Base = roundTripper(func(*http.Request) (*http.Response, error) {
			t.Errorf("%s: a request was sent", name)
			return answer(http.StatusOK, ""), nil
		})
		body := &closing{Reader: strings.NewReader("x")}
		r := request(t, http.MethodPost, "https://db.example.com", "")
		r.Body = body
		_, err := tr.RoundTrip(r)
		if err == nil || strings.HasPrefix(name, "a provider") && !errors.Is(err, broken) {
			t.Errorf("%s: RoundTrip = %v, want an error with the reason", name, err)
		}
		if !body.closed {
			t.Errorf("%s: the body is left open", name)
		}
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// TestConcurrentRequests uses one Transport for many requests at once, of which some are throttled.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := strict(t, func(*http.Request, []byte) *http.Response {
		if n.Add(1)%3 == 0 {
			return answer(http.StatusTooManyRequests, "{}")
		}
		return nil
	})
	tr := transport()
	tr.Attempts = 100
	client := &http.Client{Transport: tr}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			body := fmt.Sprintf("request %d", i)
			resp, err := client.Post(s.URL+"/"+url.PathEscape(body), "text/plain", bytes.NewReader([]byte(body)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body {
				t.Errorf("the answer to %q is %q, %v", body, got, err)
			}
		})
	}
	wg.Wait()
}

// clock advances only by waiting.
type clock struct {
	at    time.Time
	waits []time.Duration
}

func (c *clock) now() time.Time { return c.at }

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.waits = append(c.waits, d)
	c.at = c.at.Add(d)
	return ctx.Err()
}
