package rpcserver_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// occupy starts n requests that run until release is called.
func occupy(t *testing.T, n int, body string) (url string, release func()) {
	t.Helper()
	free := make(chan struct{})
	var inside, done sync.WaitGroup
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	s := httptest.NewServer(edge.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			inside.Done()
			<-free
		}
	}), "/urgent/"))
	t.Cleanup(s.Close)
	inside.Add(n)
	for range n {
		done.Go(func() {
			r, err := http.Post(s.URL+"/wait", asProtobuf, strings.NewReader(body))
			if err != nil {
				t.Errorf("an admitted request: %v", err)
				return
			}
			_ = r.Body.Close()
		})
	}
	inside.Wait()
	return s.URL, func() { close(free); done.Wait() }
}

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

// TestTooManyRequests checks that the last eighth of the permitted requests is reserved for urgent ones.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	url, release := occupy(t, rpcserver.MaxRequests*7/8, "")
	wantRefused(t, url+"/other", "")
	wantAdmitted(t, url+"/urgent/x", "")
	release()
	wantAdmitted(t, url+"/other", "")
}

func TestTooManyBytes(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", rpcserver.MaxBody)
	url, release := occupy(t, rpcserver.MaxBytes/rpcserver.MaxBody*7/8, large)
	wantRefused(t, url+"/other", "x")
	wantAdmitted(t, url+"/urgent/x", "x")
	release()
	wantAdmitted(t, url+"/other", large)
}
