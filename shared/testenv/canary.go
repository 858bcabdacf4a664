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

// Every token, e-mail address and IP address that tests put into a database has one of these in it. The whole suite is
// watched for them: log lines, errors and Redis must never hold one.
const (
	tokenCanary = "Aa0zZ9"
	emailCanary = "@example.com"
	ipCanary    = "203.0.113."
)

// leaks returns which canaries are in text.
func leaks(text string, canaries ...string) (found []string) {
	for _, c := range canaries {
		if strings.Contains(text, c) {
			found = append(found, c)
		}
	}
	return found
}

// watched fails its test where a canary is written to it.
type watched struct {
	io.Writer
	t    testing.TB
	what string
}

// WatchText fails the test where there is a canary in what must hold none: the log of a program that has ended, say.
func WatchText(t testing.TB, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if found := leaks(line, tokenCanary, emailCanary, ipCanary); found != nil {
			t.Errorf("%s tells %q: %s", what, found, line)
		}
	}
}

// Watched returns a writer to w for what must hold no token, e-mail address or IP address of a test: a log, say.
func Watched(t testing.TB, what string, w io.Writer) io.Writer { return watched{w, t, what} }

// Write implements io.Writer.
func (w watched) Write(b []byte) (int, error) {
	if found := leaks(string(b), tokenCanary, emailCanary, ipCanary); found != nil {
		w.t.Errorf("%s tells %q: %s", w.what, found, b)
	}
	return w.Writer.Write(b)
}

// WatchErrors returns next with its errors watched.
func WatchErrors(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &errorWriter{ResponseWriter: w}
		next.ServeHTTP(e, r)
		text := e.body.String()
		if strings.HasPrefix(text, `{"code":"bad_route"`) {
			return // in which Twirp repeats the caller's own path
		}
		if found := leaks(text, tokenCanary, emailCanary, ipCanary); found != nil {
			t.Errorf("an error tells %q: %s", found, text)
		}
	})
}

// errorWriter keeps the body of an error.
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

// SetReadDeadline is what the edge asks for.
func (w *errorWriter) SetReadDeadline(end time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(end)
}

// Unwrap is for http.ResponseController.
func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watch looks, at the end of the test, through what Redis holds: tokens nowhere, and no address in a key. (A user's value has
// the e-mail address in it: it is what the rpc returns.) A Redis that the test has stopped holds nothing.
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
				t.Errorf("Redis holds %.300q = %.300q, want no token, no address in a key", key, fmt.Sprint(value))
			}
		}
	})
}
