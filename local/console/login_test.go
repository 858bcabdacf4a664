package console_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
)

// away is a plain connection of another machine.
type away struct{ net.Conn }

func (away) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 50000} }
func (away) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 50053} }

// TestPlaintext logs in over plain text from another machine.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	k, now := callers.NewKey(), time.Now()
	entry, err := callers.Entry("sue", []string{"support"}, k, now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "callers.yaml")
	testenv.ReplaceFile(t, file, entry)
	gate, err := callers.New(callers.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	edge := rpcserver.New(slog.New(slog.DiscardHandler))
	edge.Guard(gate)
	h := console.New(console.Options{Edge: edge, RPC: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)})
	ask := func(method, path, header, value string, body url.Values) *httptest.ResponseRecorder {
		ctx := callers.WithConnection(t.Context(), callers.NewConnection(away{}, func() *tls.ConnectionState { return nil }))
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			r.Header.Set(header, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	a := ask(http.MethodPost, "/console/login", "", "", url.Values{"key": {k.Text}})
	if a.Code != http.StatusUnauthorized || !strings.Contains(a.Body.String(), "PLAINTEXT_CREDENTIAL") || strings.Contains(a.Header().Get("Set-Cookie"), "osr_") {
		t.Errorf("the login answers %d, want 401 PLAINTEXT_CREDENTIAL, and no key in a cookie:\n%s", a.Code, a.Body)
	}
	for header, value := range map[string]string{"Cookie": "console_key=" + k.Text, "Authorization": "Bearer " + k.Text} {
		if a := ask(http.MethodGet, "/console/players", header, value, nil); a.Code != http.StatusSeeOther {
			t.Errorf("the page answers %d to a key in %s, want the login", a.Code, header)
		}
	}
}
