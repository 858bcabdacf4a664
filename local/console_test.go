package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// consoleWorld is a program with callers whose keys open its console.
type consoleWorld struct {
	*program
	env     *testenv.Env
	console string            // URL
	keys    map[string]string // by the caller's name
	file    string            // CALLERS_FILE
}

func newConsoleWorld(t *testing.T, of ...string) *consoleWorld {
	t.Helper()
	w := withKeys(t)
	var admin string
	w.program, admin = startWithAdmin(t, append(append(outside(w.env), "CALLERS_FILE="+w.file), of...))
	w.console = admin + "/console"
	return w
}

// withKeys returns a world whose program does not run yet.
func withKeys(t *testing.T) *consoleWorld {
	t.Helper()
	w := &consoleWorld{env: testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff), keys: map[string]string{}}
	entries := "callers:\n"
	for name, roles := range map[string][]string{"sue": {"support"}, "rex": {"support", "repair"}, "mona": {"monitor"}, "world": {"world"}} {
		k, now := callers.NewKey(), time.Now()
		entry, err := callers.Entry(name, roles, k, now.Add(-time.Hour), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w.keys[name] = k.Text
		entries += strings.TrimPrefix(entry, "callers:\n")
	}
	w.file = filepath.Join(t.TempDir(), "callers.yaml")
	testenv.ReplaceFile(t, w.file, entries)
	return w
}

// person is a browser.
type person struct {
	*testing.T
	http    *http.Client
	console string
}

func (w *consoleWorld) visitor(t *testing.T) person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return person{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, w.console}
}

// login returns the browser of a caller that has typed its key.
func (w *consoleWorld) login(t *testing.T, name string) person {
	t.Helper()
	p := w.visitor(t)
	if a := p.post("/login", url.Values{"key": {w.keys[name]}}); a.status != http.StatusSeeOther {
		t.Fatalf("%s logs in: %d %s", name, a.status, a.text)
	}
	return p
}

// page is an answer of the console.
type page struct {
	status int
	header http.Header
	text   string
}

func (p person) do(r *http.Request, err error) page {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
	a, err := p.http.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		p.Fatal(err)
	}
	return page{a.StatusCode, a.Header, string(b)}
}

func (p person) get(path string) page {
	p.Helper()
	return p.do(http.NewRequestWithContext(p.Context(), http.MethodGet, p.console+path, nil))
}

func (p person) post(path string, form url.Values) page {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.console+path, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return p.do(r, err)
}

// want fails if an answer has another status, or lacks a text.
func (p person) want(a page, status int, texts ...string) page {
	p.Helper()
	_, body, _ := strings.Cut(a.text, "<main")
	if a.status != status {
		p.Fatalf("status %d, want %d:\n%s", a.status, status, body)
	}
	for _, each := range texts {
		if !strings.Contains(html.UnescapeString(a.text), each) {
			p.Errorf("the page lacks %q:\n%s", each, body)
		}
	}
	return a
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// form returns the hidden fields of a page's form.
func (a page) form() url.Values {
	form := url.Values{}
	for _, field := range hidden.FindAllStringSubmatch(a.text, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return form
}

// TestConsoleLogin tries who may open the console, and how.
func TestConsoleLogin(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	t.Run("without a key", func(t *testing.T) {
		p := w.visitor(t)
		for _, each := range []struct {
			a    page
			want string
		}{
			{p.get("/"), "/console/login"}, {p.post("/change/confirm", url.Values{}), "/console/login"},
			{p.get("/players?q=a+b"), "/console/login?next=players%3Fq%3Da%2Bb"},
		} {
			if got := each.a.header.Get("Location"); each.a.status != http.StatusSeeOther || got != each.want {
				t.Errorf("the browser goes to %s, want %s", got, each.want)
			}
		}
		p.want(p.get("/login"), http.StatusOK, "API key")
	})
	t.Run("a wrong key", func(t *testing.T) {
		p := w.visitor(t)
		p.want(p.post("/login", url.Values{"key": {w.keys["sue"] + "x"}}), http.StatusUnauthorized, "IDENTITY_REFUSED")
		p.want(p.get("/players"), http.StatusSeeOther)
	})
	t.Run("the cookie", func(t *testing.T) {
		p := w.visitor(t)
		a := p.want(p.post("/login", url.Values{"key": {" " + w.keys["sue"] + "\n"}}), http.StatusSeeOther)
		if got := a.header.Get("Set-Cookie"); !strings.Contains(got, "HttpOnly") || !strings.Contains(got, "SameSite=Strict") || !strings.Contains(got, "Path=/console") {
			t.Errorf("the cookie is %s", strings.Replace(got, w.keys["sue"], "KEY", 1))
		}
		if strings.Contains(a.header.Get("Set-Cookie"), "Secure") {
			t.Error("the cookie is Secure, but the connection is not")
		}
		p.want(p.get("/players"), http.StatusOK, "sue", "Log out")
		p.want(p.post("/logout", nil), http.StatusSeeOther)
		p.want(p.get("/players"), http.StatusSeeOther)
	})
	t.Run("to the page that was asked for", func(t *testing.T) {
		for next, want := range map[string]string{
			"": "/console/", "players?q=a+b": "/console/players?q=a+b", "//evil.example/x": "/console/x", "https://evil.example": "/console/",
			"../../metrics": "/console/metrics", `\\evil.example`: "/console/%5C%5Cevil.example", "a\nb": "/console/", "javascript:alert(1)": "/console/",
		} {
			p := w.visitor(t)
			if got := p.post("/login", url.Values{"key": {w.keys["sue"]}, "next": {next}}).header.Get("Location"); got != want {
				t.Errorf("the login with the next page %q goes to %s, want %s", next, got, want)
			}
		}
	})
	t.Run("without the role", func(t *testing.T) {
		p := w.login(t, "mona")
		p.want(p.get("/players"), http.StatusForbidden, "NOT_ALLOWED", "FindPlayers")
		p = w.login(t, "world")
		p.want(p.get("/"), http.StatusUnprocessableEntity, "Your roles allow no page")
	})
	t.Run("no text of a key in the log", func(t *testing.T) {
		for name, key := range w.keys {
			if strings.Contains(w.stderr.String(), key) {
				t.Errorf("the log has the key of %s", name)
			}
		}
	})
	t.Run("another site's form", func(t *testing.T) {
		p := w.login(t, "sue")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.console+"/logout", nil)
		if err == nil {
			r.Header.Set("Origin", "https://evil.example")
		}
		p.want(p.do(r, err), http.StatusForbidden, "FOREIGN_PAGE")
	})
}

// TestConsoleNeedsCallers opens the console of a program that cannot know its callers.
func TestConsoleNeedsCallers(t *testing.T) {
	t.Parallel()
	p, admin := startWithAdmin(t, outside(testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)))
	w := &consoleWorld{program: p, console: admin + "/console"}
	v := w.visitor(t)
	v.want(v.get("/players"), http.StatusSeeOther)
	v.want(v.get("/login"), http.StatusForbidden, "CALLERS_FILE is not set")
	v.want(v.post("/login", url.Values{"key": {"osr_x"}}), http.StatusForbidden, "CALLERS_FILE is not set")
	v.want(v.get("/api/"), http.StatusOK, "UndeleteCharacter")
}
