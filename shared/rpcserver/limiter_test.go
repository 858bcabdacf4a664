package rpcserver_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func wantRefused(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.Post(url, asProtobuf, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if retry := r.Header.Get("Retry-After"); retry != "1" {
		t.Errorf("Retry-After %q, want 1", retry)
	}
	if a := readAnswer(t, r); a.Status != http.StatusTooManyRequests || a.Meta["reason"] != "OVERLOADED" {
		t.Errorf("answer %v, want 429 OVERLOADED", a)
	}
}

func wantAdmitted(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.Post(url, asProtobuf, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if text, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK {
		t.Errorf("%d %s, want it served", r.StatusCode, text)
	}
}
