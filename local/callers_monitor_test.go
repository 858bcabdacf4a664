package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// TestGuard asks for metrics from this machine and from another one, with each role.
func TestGuard(t *testing.T) {
	t.Parallel()
	file, keys, _ := reportCallers(t)
	gate, err := callers.New(callers.Options{File: file, Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(gate *callers.Gate, identity string, connection *callers.Connection) int {
		edge := rpcserver.New(slog.New(slog.DiscardHandler))
		edge.Guard(gate)
		r := httptest.NewRequestWithContext(callers.WithConnection(t.Context(), connection), http.MethodGet, "/metrics", nil)
		if key := keys[identity]; key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		guard(edge, callers.Metrics, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	for _, identity := range identities {
		want := http.StatusForbidden
		switch identity {
		case "nothing", "wrong", "expired":
			want = http.StatusUnauthorized
		case "monitor":
			want = http.StatusOK
		}
		if got := ask(gate, identity, nil); got != want {
			t.Errorf("another machine as %s: %d, want %d", identity, got, want)
		}
		if got := ask(nil, identity, nil); got != http.StatusOK {
			t.Errorf("another machine as %s, no callers configured: %d, want 200", identity, got)
		}
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(ask(gate, "nothing", callers.ConnectionFrom(r.Context())))
	}))
	s.Config.ConnContext = connContext
	s.Start()
	defer s.Close()
	response, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("this machine, without a credential: %s, want 200", response.Status)
	}
}

// TestPlaintextCredential checks that a key from another machine is refused over plain text, although it is right.
func TestPlaintextCredential(t *testing.T) {
	t.Parallel()
	file, keys, _ := reportCallers(t)
	gate, err := callers.New(callers.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	_, refused := gate.Identify(t.Context(), callers.Credentials{Authorization: []string{"Bearer " + keys["world"]}}, time.Now())
	if refused == nil || refused.Error.Code() != twirp.Unauthenticated || refused.Error.Meta("reason") != "PLAINTEXT_CREDENTIAL" {
		t.Errorf("%v, want PLAINTEXT_CREDENTIAL", refused)
	}
}
