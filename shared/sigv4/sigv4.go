// Package sigv4 signs requests with AWS Signature Version 4, for clients of a deployment whose API Gateway or Function URL
// requires IAM authorization. Put its Transport into the http.Client of a generated Twirp client; see the example.
//
// It retries a request only if the server certainly did not execute it; see [Transport.RoundTrip].
package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const defaultAttempts = 4

// Transport is an http.RoundTripper that signs. It is safe for concurrent use. Its fields must not change after the first
// request.
type Transport struct {
	// Credentials of the caller, retrieved at each attempt. The Credentials of an aws.Config of config.LoadDefaultConfig
	// (environment, profile, SSO, role of the machine) are cached until they expire.
	Credentials aws.CredentialsProvider
	// Region of the API or function, for example the Region of that aws.Config.
	Region string
	// Service is "execute-api" or "lambda". If it is empty: "lambda" for the host of a Function URL, otherwise "execute-api".
	Service string
	// Base sends the signed requests. Nil: http.DefaultTransport.
	Base http.RoundTripper
	// Attempts is the maximum number of attempts per request. 0 means 4; 1 means no retry.
	Attempts int

	once   sync.Once
	signer *v4.Signer
	skew   atomic.Int64 // how far the server's clock is ahead of ours, in nanoseconds

	now  func() time.Time                           // nil: time.Now
	wait func(context.Context, time.Duration) error // nil: wait
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip implements http.RoundTripper. It reads the body into memory, to hash it and to send it again.
//
// It retries in three cases, each time with a new signature:
//   - No connection was made.
//   - The answer is 429: the gateway throttled the request, or a service shed it. RoundTrip waits before each retry, longer
//     each time and at least as long as Retry-After says. If that exceeds 30 s, or the time that the request's context has
//     left, it returns the answer.
//   - The signature was refused because our clock is off. RoundTrip retries once, with the time from the answer's Date.
//
// It does not retry after a timeout, a broken connection or a 5xx: the server may have executed the POST. The caller decides
// whether to send it again; a create with its request_id and a save with its save_id are safe.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.once.Do(t.setUp)
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	corrected := false
	for attempt := 1; ; attempt++ {
		skew := time.Duration(t.skew.Load())
		signed, err := t.sign(r, body, skew)
		if err != nil {
			return nil, err
		}
		resp, err := t.base().RoundTrip(signed)
		if attempt >= t.attempts() {
			return resp, err
		}
		var pause time.Duration
		switch now := t.now(); {
		case !corrected && err == nil && t.correct(resp, now, skew):
			corrected = true
		case refused(resp, err):
			pause = backoff(attempt, resp, now)
		default:
			return resp, err
		}
		if deadline, ok := r.Context().Deadline(); pause > maxAfter || ok && time.Until(deadline) <= pause {
			return resp, err
		}
		discard(resp)
		if err := t.wait(r.Context(), pause); err != nil {
			return nil, err
		}
	}
}

func (t *Transport) setUp() {
	t.signer = v4.NewSigner()
	if t.now == nil {
		t.now = time.Now
	}
	if t.wait == nil {
		t.wait = wait
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

func (t *Transport) attempts() int {
	if t.Attempts == 0 {
		return defaultAttempts
	}
	return t.Attempts
}

func (t *Transport) service(host string) string {
	switch {
	case t.Service != "":
		return t.Service
	case strings.Contains(host, ".lambda-url.") && strings.HasSuffix(host, ".on.aws"):
		return "lambda"
	}
	return "execute-api"
}

// sign returns a copy of r, signed at our time plus skew.
func (t *Transport) sign(r *http.Request, body []byte, skew time.Duration) (*http.Request, error) {
	if t.Region == "" || t.Credentials == nil {
		return nil, errors.New("sign a request: no Region, or no Credentials")
	}
	credentials, err := t.Credentials.Retrieve(r.Context())
	if err != nil {
		return nil, fmt.Errorf("get AWS credentials: %w", err)
	}
	signed := r.Clone(r.Context())
	if signed.Header == nil {
		signed.Header = http.Header{}
	}
	signed.ContentLength = int64(len(body))
	signed.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if signed.Body, _ = signed.GetBody(); len(body) == 0 {
		signed.Body = http.NoBody
	}
	hash := sha256.Sum256(body)
	err = t.signer.SignHTTP(r.Context(), credentials, signed, hex.EncodeToString(hash[:]), t.service(r.URL.Hostname()), t.Region, t.now().Add(skew))
	if err != nil {
		return nil, fmt.Errorf("sign a request: %w", err)
	}
	return signed, nil
}

// readBody reads the body, and closes it as a RoundTripper must.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	return body, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
