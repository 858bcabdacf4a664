package main

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

// with returns the answer to a request with other headers: name, value, ...
func (p person) with(method, path string, headers ...string) page {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), method, p.console+path, nil)
	for i := 0; err == nil && i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return p.do(r, err)
}

// TestConsoleForeign tries what a web page of another origin can make a browser send.
func TestConsoleForeign(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	p := w.login(t, "rex")
	a := p.with(http.MethodPost, "/logout", "Origin", "https://localhost", "Host", "localhost") // a proxy with TLS
	if !strings.Contains(a.header.Get("Set-Cookie"), "; Secure") {
		t.Errorf("behind a proxy with TLS the cookie is not Secure: %q", a.header.Get("Set-Cookie"))
	}
	for _, path := range []string{"/login", "/logout", "/player", "/player/note", "/change/show", "/change/confirm"} {
		for _, header := range [][]string{
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
			{"Origin", "http://127.0.0.1:1"},
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Host", "evil.example"},
			{"Host", "localhost.evil.example"},
			{"Host", "127.0.0.1.evil.example:80"},
		} {
			p.want(p.with(http.MethodPost, path, header...), http.StatusForbidden, "FOREIGN_")
		}
	}
	p.want(p.with(http.MethodGet, "/players", "Host", "evil.example"), http.StatusForbidden, "FOREIGN_HOST")
	for _, path := range []string{"", "/", "/players", "/login", "/logout", "/change/confirm"} { // no redirect leaves the console
		a := p.with(http.MethodGet, path+"?to=//evil.example&next=https://evil.example&url=//evil.example")
		if to := a.header.Get("Location"); to != "" && !strings.HasPrefix(to, "/console/") {
			t.Errorf("%s goes to %s", path, to)
		}
	}
}

// TestConsoleHeaders checks what every answer needs, redirects and errors included.
func TestConsoleHeaders(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	in, out := w.login(t, "rex"), w.visitor(t)
	for name, a := range map[string]page{
		"a page": in.get("/players"), "a refusal": in.get("/state"), "a wrong form": in.get("/player?id=%zz"), "an error": in.get("/player?id=nobody"),
		"the start": in.get("/"), "a login that is not needed": in.get("/login"), "the login": out.get("/login"), "to the login": out.get("/players"),
		"a part, to the login": out.with(http.MethodGet, "/players", "HX-Request", "true"), "a wrong key": out.post("/login", url.Values{"key": {"x"}}),
		"a key": w.visitor(t).post("/login", url.Values{"key": {w.keys["sue"]}}), "the logout": out.post("/logout", nil),
	} {
		if a.header.Get("Cache-Control") != "no-store" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
			a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") != "same-origin" {
			a.header.Del("Set-Cookie")
			t.Errorf("%s (%d) has the headers %v", name, a.status, a.header)
		}
	}
	a := out.with(http.MethodGet, "/players", "HX-Request", "true")
	if a.header.Get("HX-Redirect") != "/console/login" || strings.Contains(a.text, "API key") {
		t.Errorf("a part of a page: %v, want a redirect of the page", a.header)
	}
}

// TestConsoleOneCredential brings more than one credential. Which of them counts must not depend on who set the other.
func TestConsoleOneCredential(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	p := w.visitor(t)
	sue, mona := "console_key="+w.keys["sue"], "console_key="+w.keys["mona"]
	p.want(p.with(http.MethodGet, "/players", "Cookie", "other=1; "+sue+"; more=2"), http.StatusOK, "sue")
	p.want(p.with(http.MethodGet, "/players", "Authorization", "Bearer "+w.keys["sue"]), http.StatusOK, "sue")
	for _, headers := range [][]string{
		{"Cookie", sue + "; " + mona},
		{"Cookie", sue, "Cookie", mona},
		{"Cookie", sue, "Authorization", "Bearer " + w.keys["mona"]},
		{"Authorization", "Bearer " + w.keys["sue"], "Authorization", "Bearer " + w.keys["mona"]},
	} {
		p.want(p.with(http.MethodGet, "/players", headers...), http.StatusSeeOther)
		a := p.want(p.with(http.MethodGet, "/login", headers...), http.StatusUnauthorized, "TWO_IDENTITIES")
		if forgets := strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0"); forgets != (headers[0] == "Cookie") {
			t.Errorf("Set-Cookie of the login: %q", a.header.Get("Set-Cookie"))
		}
	}
	for _, odd := range []string{"a;b=c", "a b", "a\"b", "a\x00b", "\u00e9", "a,b", "osr_", "Bearer osr_x", strings.Repeat("x", 9000), ""} {
		a := p.post("/login", url.Values{"key": {odd}})
		if a.status == http.StatusSeeOther || strings.Contains(a.header.Get("Set-Cookie"), odd+";") && odd != "" {
			t.Errorf("the key %.20q: %d %v", odd, a.status, a.header)
		}
		p.want(p.get("/players"), http.StatusSeeOther)
	}
}

// TestConsoleRemovedKey removes the key of a browser that is logged in.
func TestConsoleRemovedKey(t *testing.T) {
	t.Parallel()
	w := newConsoleWorld(t)
	p := w.login(t, "rex")
	alice := w.env.AddUser(t, "Alice")
	lost := w.hero(t, alice, "Aldebaran")
	w.lose(t, alice, lost, atOnce)
	form := p.shown("undelete", alice, lost)
	testenv.ReplaceFile(t, w.file, "callers:\n  other: {roles: [support], subjects: [x]}\n")
	eventually(t, "the login: the program has read the file", func() bool { return p.get("/players").status == http.StatusSeeOther })
	p.want(p.post("/change/confirm", form), http.StatusSeeOther)
	if got := w.actions(t)["UndeleteCharacter"]; got != 0 {
		t.Errorf("the removed key has made %d changes", got)
	}
	a := p.want(p.get("/login"), http.StatusUnauthorized, "IDENTITY_REFUSED", "API key")
	if !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("the browser keeps the removed key: %v", a.header)
	}
	p.want(p.get("/login"), http.StatusOK, "API key")
}

// secureConsole is a console with TLS, a key and a certificate.
func secureConsole(t *testing.T) (console, key string, browser func(...tls.Certificate) person, certificates testenv.Authority) {
	t.Helper()
	dir, k := t.TempDir(), callers.NewKey()
	entry, err := callers.Entry("sue", []string{"support"}, k, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	authority := testenv.NewAuthority(t, time.Now())
	testenv.ReplaceFile(t, filepath.Join(dir, "callers.yaml"), entry+"  cert: {roles: [support], certificates: [\"spiffe://game/cert\"]}\n")
	testenv.ReplaceFile(t, filepath.Join(dir, "ca.pem"), authority.PEM())
	certFile, keyFile, roots := certificate(t)
	port := freePort(t)
	p := start(t, append(outside(testenv.New(t, "plugins", "miniredis", testenv.AlsoStaff)), "CALLERS_FILE="+filepath.Join(dir, "callers.yaml"),
		"TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile, "TLS_CLIENT_CA_FILE="+filepath.Join(dir, "ca.pem"), "ADMIN_ADDR=0.0.0.0:"+port))
	console = "https://127.0.0.1:" + port + "/console"
	wantText(t, &p.stdout, console)
	return console, k.Text, func(certs ...tls.Certificate) person {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return person{t, &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, console}
	}, authority
}

// TestConsoleCertificate opens the console with TLS: the cookie is Secure, and a browser with a key gets out of it if it has a certificate
// too.
func TestConsoleCertificate(t *testing.T) {
	t.Parallel()
	console, key, browser, authority := secureConsole(t)
	p := browser()
	a := p.want(p.post("/login", url.Values{"key": {key}}), http.StatusSeeOther)
	if got := a.header.Get("Set-Cookie"); !strings.Contains(got, "; Secure") {
		t.Errorf("the cookie is not Secure with TLS: %s", strings.Replace(got, key, "KEY", 1))
	}
	p.want(p.get("/players"), http.StatusOK, "sue", "Log out")

	both := browser(authority.Issue(t, testenv.URI(t, "spiffe://game/cert")).TLS())
	at, err := url.Parse(console)
	if err != nil {
		t.Fatal(err)
	}
	both.want(both.get("/players"), http.StatusOK, "cert")
	both.want(both.post("/login", url.Values{"key": {key}}), http.StatusUnauthorized, "TWO_IDENTITIES")
	both.http.Jar.SetCookies(at, []*http.Cookie{{Name: "console_key", Value: key, Path: "/console"}})
	both.want(both.get("/players"), http.StatusSeeOther)
	both.want(both.get("/login"), http.StatusUnauthorized, "TWO_IDENTITIES")
	both.want(both.get("/players"), http.StatusOK, "cert")
	stranger := browser(testenv.NewAuthority(t, time.Now()).Issue(t, testenv.URI(t, "spiffe://game/cert")).TLS())
	stranger.want(stranger.get("/players"), http.StatusSeeOther)
	stranger.want(stranger.get("/login"), http.StatusUnauthorized, "IDENTITY_REFUSED")
}
