package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/testenv"
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

// TestCertificateOnTheAdminAddress checks that a client certificate is seen where net/http ends TLS itself.
func TestCertificateOnTheAdminAddress(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), testenv.NewAuthority(t, time.Now())
	o := callers.Options{File: filepath.Join(dir, "callers.yaml"), ClientCAFile: filepath.Join(dir, "ca.pem")}
	testenv.ReplaceFile(t, o.File, `callers: {prometheus: {roles: [monitor], certificates: ["prometheus.svc"]}}`)
	testenv.ReplaceFile(t, o.ClientCAFile, authority.PEM())
	gate, err := callers.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, refused := gate.Identify(r.Context(), rpcserver.CredentialsOf(r), time.Now()); refused == nil {
			fmt.Fprint(w, p.Name)
		} else {
			fmt.Fprint(w, refused.Error, refused.Cause)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ConnContext = connContext
	s.StartTLS()
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{
		authority.Issue(t, &x509.Certificate{DNSNames: []string{"prometheus.svc"}}).TLS(),
	}
	response, err := client.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != "prometheus" {
		t.Errorf("got %q, %v, want the caller prometheus", got, err)
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

// TestPosture checks what a program says about its callers: in /readyz, in the metric, and with a warning in the log.
func TestPosture(t *testing.T) {
	t.Parallel()
	file, _, _ := reportCallers(t)
	for want, env := range map[string][]string{"any": nil, "configured": {"CALLERS_FILE=" + file}} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			admin := "127.0.0.1:" + freePort(t)
			p := start(t, append(outside(testenv.New(t, "plugins", "miniredis")), append(env, "ADMIN_ADDR="+admin)...))
			isAny := want == "any"
			if got := get(t, p.url+"/readyz"); !strings.Contains(got, `"callers":"`+want+`"`) {
				t.Errorf("/readyz: %s, want callers %s", got, want)
			}
			if got := get(t, "http://"+admin+"/metrics"); strings.Contains(got, "\ndatabase_service_callers_any 1\n") != isAny {
				t.Errorf("the metric database_service_callers_any is 1: %t, want %t", !isAny, isAny)
			}
			p.signal(t, syscall.SIGTERM)
			p.wantExit(t, 0)
			if got := strings.Count(p.stderr.String(), "any caller that reaches the port"); got != map[bool]int{true: 1, false: 0}[isAny] {
				t.Errorf("%d warnings, want one if any caller has all rights", got)
			}
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
