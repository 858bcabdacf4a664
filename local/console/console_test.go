package console_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/console"
	"github.com/osirose-new/database-service/rpc/openapi"
)

// get returns the answer of a page, and checks what every page keeps.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: got %d, want 200", path, w.Code)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-cache"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %s: %q, want %q", path, name, got, want)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none';", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s: policy %q, want %q in it", path, policy, want)
		}
	}
	if _, style, ok := strings.Cut(w.Body.String(), "<style>"); ok { // the browser ignores a style that the policy does not name
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("%s: policy %q, want %q in it", path, policy, want)
		}
	}
	return w
}

func TestFront(t *testing.T) {
	t.Parallel()
	for admin, want := range map[string]string{
		"http://127.0.0.1:50053": `href="http://127.0.0.1:50053/console/api/"`,
		"":                       "ADMIN_ADDR is off",
		"javascript:alert(1)//":  `href="#ZgotmplZ/console/api/"`,
	} {
		h := console.Front{Version: "v1.2.3<b>", Revision: "abc", Admin: admin}.Handler()
		page := get(t, h, "/").Body.String()
		for _, want := range []string{want, "v1.2.3&lt;b&gt;", "abc", `href="/readyz"`, `href="/healthz"`} {
			if !strings.Contains(page, want) {
				t.Errorf("with the admin address %q the front page lacks %q:\n%s", admin, want, page)
			}
		}
	}
}

// TestReference checks that the page has every rpc, type, field and error of the document.
func TestReference(t *testing.T) {
	t.Parallel()
	h := console.Reference()
	answer := get(t, h, "/openapi.json")
	if got := answer.Header().Get("Content-Type"); got != "application/json" || answer.Body.String() != string(openapi.Document) {
		t.Errorf("openapi.json: %s of %d bytes, want the document in JSON", got, answer.Body.Len())
	}
	page := get(t, h, "/").Body.String()
	var document struct {
		Paths      map[string]any
		Components struct {
			Schemas map[string]struct {
				Title      string
				Properties map[string]any
			}
		}
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for path := range document.Paths {
		want = append(want, "<pre>POST "+path+"</pre>", `<h3 id="`+path[strings.LastIndex(path, "/")+1:]+`">`)
	}
	for name, schema := range document.Components.Schemas {
		switch {
		case schema.Title != "":
			want = append(want, "<code>"+schema.Title+"</code>")
		case name != "Error":
			for field := range schema.Properties {
				want = append(want, "<code>"+field+"</code>")
			}
		}
	}
	for _, part := range want {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	_, session, _ := strings.Cut(page, `<h3 id="GetSession">`)
	session, _, _ = strings.Cut(session, "<h3")
	for part, want := range map[string]bool{"not_found SESSION_EXPIRED": true, "resource_exhausted OVERLOADED": false} { // that is an error of every rpc
		if strings.Contains(session, part) != want {
			t.Errorf("GetSession's part of the page has %q: %t, want %t", part, !want, want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/other", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("/other: got %d, want 404", w.Code)
	}
}
