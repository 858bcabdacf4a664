package testenv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every token, e-mail address and IP address that tests put into a database contains one of these canaries. The whole
// suite checks that log lines, errors and Redis never contain one.
const (
	tokenCanary = "Aa0zZ9"
	emailCanary = "@example.com"
	ipCanary    = "203.0.113."
)

// leaks returns the canaries that text contains.
func leaks(text string, canaries ...string) (found []string) {
	for _, c := range canaries {
		if strings.Contains(text, c) {
			found = append(found, c)
		}
	}
	return found
}

// watched fails its test if a canary is written to it.
type watched struct {
	io.Writer
	t    testing.TB
	what string
}

// WatchText fails the test if text contains a canary. It is for text that is complete, for example the log of a program
// that has ended.
func WatchText(t testing.TB, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if found := leaks(line, tokenCanary, emailCanary, ipCanary); found != nil {
			t.Errorf("%s contains %q: %s", what, found, line)
		}
	}
}

// Watched returns a writer to w that fails the test if a canary is written, for example for a log.
func Watched(t testing.TB, what string, w io.Writer) io.Writer { return watched{w, t, what} }

// Write implements io.Writer.
func (w watched) Write(b []byte) (int, error) {
	if found := leaks(string(b), tokenCanary, emailCanary, ipCanary); found != nil {
		w.t.Errorf("%s contains %q: %s", w.what, found, b)
	}
	return w.Writer.Write(b)
}

// WatchErrors returns next and fails the test if an error response contains a canary.
func WatchErrors(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &errorWriter{ResponseWriter: w}
		next.ServeHTTP(e, r)
		text := e.body.String()
		if strings.HasPrefix(text, `{"code":"bad_route"`) {
			return // Twirp repeats the caller's own path in it
		}
		if found := leaks(text, tokenCanary, emailCanary, ipCanary); found != nil {
			t.Errorf("an error contains %q: %s", found, text)
		}
	})
}

// errorWriter keeps the body of an error response.
type errorWriter struct {
	http.ResponseWriter
	failed bool
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (w *errorWriter) WriteHeader(status int) {
	w.failed = status >= http.StatusBadRequest
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *errorWriter) Write(b []byte) (int, error) {
	if w.failed {
		w.body.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

// SetReadDeadline passes the edge's read deadline on.
func (w *errorWriter) SetReadDeadline(end time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(end)
}

// Unwrap serves http.ResponseController.
func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watch checks at the end of the test that Redis contains no token, and no address in a key. A user's value may contain the
// e-mail address, because the rpc returns it. A Redis that the test has stopped is not checked.
func (r *Redis) watch(t testing.TB) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		keys, err := r.Client.Keys(ctx, "*").Result()
		if err != nil {
			return
		}
		for _, key := range keys {
			var value any
			switch r.Client.Type(ctx, key).Val() {
			case "string":
				value = r.Client.Get(ctx, key).Val()
			case "hash":
				value = r.Client.HGetAll(ctx, key).Val()
			}
			if leaks(key, tokenCanary, emailCanary, ipCanary) != nil || leaks(fmt.Sprint(value), tokenCanary, ipCanary) != nil {
				t.Errorf("Redis contains %.300q = %.300q, want no token and no address in a key", key, fmt.Sprint(value))
			}
		}
	})
}
