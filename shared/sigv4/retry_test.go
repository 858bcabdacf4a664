package sigv4_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/osirose-new/database-service/shared/sigv4"
)

var begin = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// try is the answer of Base to one attempt.
type try func() (*http.Response, error)

func says(status int, body string, headers ...string) try {
	return func() (*http.Response, error) { return answer(status, body, headers...), nil }
}

func fails(err error) try { return func() (*http.Response, error) { return nil, err } }

// play gives the attempts of one request these answers in turn. It returns the caller's answer and the signed times.
func play(t *testing.T, tr *sigv4.Transport, c *clock, tries ...try) (resp *http.Response, signed []string, err error) {
	t.Helper()
	tr.SetClock(c.now, c.wait)
	var bodies []*closing
	tr.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "body" {
			t.Errorf("attempt %d sends %q, %v, want %q", len(signed)+1, body, err, "body")
		}
		r.RequestURI = r.URL.RequestURI()
		if err := verify(r, body, secret); err != nil {
			t.Errorf("attempt %d: %v", len(signed)+1, err)
		}
		signed = append(signed, r.Header.Get("X-Amz-Date"))
		if len(signed) > len(tries) {
			t.Fatalf("attempt %d, want %d", len(signed), len(tries))
		}
		resp, err := tries[len(signed)-1]()
		if err == nil {
			bodies = append(bodies, resp.Body.(*closing))
		}
		return resp, err
	})
	resp, err = tr.RoundTrip(request(t, http.MethodPost, "https://db.example.com/x", "body"))
	if len(signed) != len(tries) {
		t.Errorf("%d attempts, want %d", len(signed), len(tries))
	}
	for i, b := range bodies {
		if i == len(bodies)-1 && err == nil {
			if b.closed {
				t.Error("the body of the returned answer is closed")
			}
			break
		}
		if rest, _ := io.ReadAll(b); !b.closed || len(rest) > 0 {
			t.Errorf("the body of answer %d is closed: %t, and has %d bytes left", i+1, b.closed, len(rest))
		}
	}
	return resp, signed, err
}

func stamp(at time.Time) string { return at.Format("20060102T150405Z") }

func TestRetry(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	throttled := says(http.StatusTooManyRequests, "{}")
	done := says(http.StatusOK, "done")
	for _, test := range []struct {
		name  string
		tries []try
		want  int // status
	}{
		{"throttled once", []try{throttled, done}, http.StatusOK},
		{"no connection at first", []try{fails(refused), fails(refused), done}, http.StatusOK},
		{"throttled at every attempt", []try{throttled, throttled, throttled, throttled}, http.StatusTooManyRequests},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &clock{at: begin}
			resp, _, err := play(t, transport(), c, test.tries...)
			if err != nil || resp.StatusCode != test.want {
				t.Errorf("RoundTrip = %v, %v, want %d", resp, err, test.want)
			}
			for i, w := range c.waits {
				if most := 100 * time.Millisecond << i; w < 0 || w >= most {
					t.Errorf("waited %v after attempt %d, want under %v", w, i+1, most)
				}
			}
		})
	}
	t.Run("no connection at any attempt", func(t *testing.T) {
		t.Parallel()
		f := fails(refused)
		if _, _, err := play(t, transport(), &clock{at: begin}, f, f, f, f); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("RoundTrip = %v, want the last error", err)
		}
	})
	t.Run("at most Attempts times", func(t *testing.T) {
		t.Parallel()
		tr := transport()
		tr.Attempts = 1
		if resp, _, err := play(t, tr, &clock{at: begin}, throttled); err != nil || resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("RoundTrip = %v, %v, want 429", resp, err)
		}
	})
}

// TestNoRetry checks outcomes after which the server may have executed the request.
func TestNoRetry(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]try{
		"500": says(500, ""), "502": says(502, ""), "503": says(503, "", "Retry-After", "1"), "504": says(504, ""), "400": says(400, ""),
		"404":                 says(404, ""),
		"429 of the service":  says(429, `{"code":"resource_exhausted","msg":"too large","meta":{"reason":"RESPONSE_TOO_LARGE"}}`),
		"a broken connection": fails(&net.OpError{Op: "read", Err: syscall.ECONNRESET}),
		"a timeout":           fails(context.DeadlineExceeded),
		"403 of the service":  says(403, `{"code":"permission_denied"}`, "Date", begin.Add(time.Second).Format(http.TimeFormat)),
		"403 without a date":  says(403, `{"message":"Forbidden"}`),
		"403 for another signature": says(403, `{"message":"The request signature we calculated does not match"}`, "X-Amzn-Errortype",
			"InvalidSignatureException", "Date", begin.Format(http.TimeFormat)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, wantErr := first()
			resp, _, err := play(t, transport(), &clock{at: begin}, first)
			if !errors.Is(err, wantErr) {
				t.Fatalf("RoundTrip = %v, want %v", err, wantErr)
			}
			if want == nil {
				return
			}
			text, _ := io.ReadAll(want.Body)
			got, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != want.StatusCode || string(got) != string(text) {
				t.Errorf("RoundTrip = %d %q, %v, want %d %q", resp.StatusCode, got, err, want.StatusCode, text)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	later := begin.Add(20 * time.Second).Format(http.TimeFormat)
	for value, least := range map[string]time.Duration{"3": 3 * time.Second, later: 20 * time.Second, "soon": 0, "-1": 0, "99999999999999": 0} {
		c := &clock{at: begin}
		_, signed, err := play(t, transport(), c, says(429, "", "Retry-After", value), says(200, ""))
		if err != nil || len(c.waits) != 1 || c.waits[0] < least || c.waits[0] > least+100*time.Millisecond {
			t.Errorf("Retry-After %s: waited %v, %v, want %v", value, c.waits, err, least)
		}
		if want := []string{stamp(begin), stamp(begin.Add(least))}; err == nil && !slices.Equal(signed, want) {
			t.Errorf("Retry-After %s: signed at %v, want %v", value, signed, want)
		}
	}
	t.Run("too late", func(t *testing.T) {
		t.Parallel()
		for _, value := range []string{"31", begin.Add(time.Hour).Format(http.TimeFormat)} {
			resp, _, err := play(t, transport(), &clock{at: begin}, says(429, "wait", "Retry-After", value))
			if err != nil || resp.StatusCode != 429 {
				t.Errorf("Retry-After %s: %v, %v, want the answer itself", value, resp, err)
			}
		}
	})
}

// TestContext checks a context that ends, or is about to end, between two attempts.
func TestContext(t *testing.T) {
	t.Parallel()
	sent := func(ctx context.Context, wait func(context.Context, time.Duration) error, headers ...string) (*http.Response, int, error) {
		n := 0
		tr := transport()
		tr.SetClock(nil, wait)
		tr.Base = roundTripper(func(*http.Request) (*http.Response, error) { n++; return answer(429, "slow down", headers...), nil })
		resp, err := tr.RoundTrip(request(t, http.MethodPost, "https://db.example.com/x", "body").WithContext(ctx))
		return resp, n, err
	}
	t.Run("canceled while it waits", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		_, n, err := sent(ctx, func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() })
		if !errors.Is(err, context.Canceled) || n != 1 {
			t.Errorf("RoundTrip = %v after %d attempts, want context.Canceled after 1", err, n)
		}
	})
	t.Run("canceled while it waits, by the real clock", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, n, err := sent(ctx, nil, "Retry-After", "29")
		if !errors.Is(err, context.Canceled) || n != 1 {
			t.Errorf("RoundTrip = %v after %d attempts, want context.Canceled after 1", err, n)
		}
	})
	t.Run("no time to wait", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		resp, n, err := sent(ctx, nil, "Retry-After", "20")
		if err != nil || resp.StatusCode != 429 || n != 1 {
			t.Fatalf("RoundTrip = %v, %v after %d attempts, want 429 after 1", resp, err, n)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "slow down" {
			t.Errorf("the answer's body is %q, %v, want the whole body", body, err)
		}
	})
}

// TestFreshCredentials changes the credentials between two attempts.
func TestFreshCredentials(t *testing.T) {
	t.Parallel()
	n := 0
	var ids []string
	tr := transport()
	tr.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		n++
		return aws.Credentials{AccessKeyID: strings.Repeat("K", n), SecretAccessKey: secret}, nil
	})
	c := &clock{at: begin}
	tr.SetClock(c.now, c.wait)
	tr.Base = roundTripper(func(r *http.Request) (*http.Response, error) {
		ids = append(ids, authorization.FindStringSubmatch(r.Header.Get("Authorization"))[1])
		return answer(429, ""), nil
	})
	if _, err := tr.RoundTrip(request(t, http.MethodPost, "https://db.example.com/x", "body")); err != nil || !slices.Equal(ids, []string{"K", "KK", "KKK", "KKKK"}) {
		t.Errorf("signed with %v, %v, want the credentials of each attempt", ids, err)
	}
}
