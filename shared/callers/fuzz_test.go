package callers_test

import (
	"context"
	"crypto/x509"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/callers/oidctoken"
	"github.com/osirose-new/database-service/shared/testenv"
)

// FuzzKey presents keys. Only the right one names a caller.
func FuzzKey(f *testing.F) {
	k := callers.NewKey()
	w := newWorld(f, callers.Options{}, entryOf(f, "game", k), "")
	secure := callers.Connected(true, false)
	for _, seed := range []string{k.Text, "osr_", "osr_" + k.ID + "_", k.Text + "a", k.Text[:len(k.Text)-1], strings.ToUpper(k.Text), "osr__", " " + k.Text} {
		f.Add("Bearer " + seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		p, refused := w.gate.Identify(t.Context(), callers.Credentials{Connection: secure, Authorization: []string{header}}, w.now)
		isRight := len(header) > 7 && strings.EqualFold(header[:7], "bearer ") && strings.TrimSpace(header[7:]) == k.Text
		if (p != nil) != isRight || (refused == nil) != isRight {
			t.Errorf("%q: %v, %v", header, p, refused)
		}
		if refused != nil && len(refused.Cause) > 200 {
			t.Errorf("%q: the log gets %d bytes", header, len(refused.Cause))
		}
	})
}

// FuzzWorkloadToken presents tokens to an issuer's real keys. Only the one that was signed is valid.
func FuzzWorkloadToken(f *testing.F) {
	k := testenv.NewSigningKey(f, "1", jose.ES256)
	issuer := testenv.NewIssuer(f, k)
	good := issuer.Token(f, k, nil)
	v := oidctoken.New(issuer.URL, testenv.TokenAudience)
	if _, err := v.Verify(context.Background(), good); err != nil {
		f.Fatal(err)
	}
	issuer.SetDown(true) // what needs another key is not fetched again and again
	parts := strings.Split(good, ".")
	for _, seed := range []string{good, good + ".", parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", "..", "{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a fetch is not waited for
		if got, err := v.Verify(ctx, token); err == nil && (got.Subject != testenv.TokenSubject || !strings.Contains(token, parts[1])) {
			t.Errorf("%q: %+v", token, got)
		}
	})
}

// FuzzCertificateName presents certificates with names. Only the names in the file, exactly, name its callers.
func FuzzCertificateName(f *testing.F) {
	ca := testenv.NewAuthority(f, start)
	w := newWorld(f, callers.Options{}, `callers: {map: {roles: [world], certificates: ["spiffe://game/world", "map.game.svc"]}}`, ca.PEM())
	for _, seed := range []string{"spiffe://game/world", "SPIFFE://game/world", "spiffe://game/world/", "spiffe://game/%77orld", "spiffe://game/world#x", "spiffe://x@game/world"} {
		f.Add(seed, "")
	}
	for _, seed := range []string{"map.game.svc", "MAP.game.svc", "*.game.svc", "map.game.svc.", "map.game.svc\x00.evil"} {
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, uri, dns string) {
		template := &x509.Certificate{}
		if u, err := url.Parse(uri); err == nil && uri != "" {
			template.URIs = []*url.URL{u}
		}
		if dns != "" {
			template.DNSNames = []string{dns}
		}
		issued, err := ca.TryIssue(template)
		if err != nil {
			return // no such certificate can exist
		}
		var names []string
		for _, u := range issued.Cert.URIs {
			names = append(names, u.String())
		}
		if len(names) == 0 {
			names = issued.Cert.DNSNames
		}
		want := slices.Contains(names, "spiffe://game/world") || len(issued.Cert.URIs) == 0 && slices.Contains(names, "map.game.svc")
		p, _ := w.gate.Identify(t.Context(), callers.Credentials{Connection: callers.Connected(true, false, issued.Cert)}, w.now)
		if (p != nil) != want {
			t.Errorf("URI %q, DNS %q: %v, want a caller: %t", uri, dns, p, want)
		}
	})
}

var loggable = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// FuzzCallersFile reads files. A file is refused, or each of its credentials names a caller whose name a log line can have.
func FuzzCallersFile(f *testing.F) {
	f.Add([]byte(entryOf(f, "game", callers.NewKey())))
	for _, seed := range []string{
		"", "callers: {}", "callers: []", "callers: {a: {roles: [world], subjects: [x]}}", "roles: {r: [GetUser]}\ncallers: {a: {roles: [r], aws: [\"arn:aws:iam::1:role/x\"]}}",
		"callers: &a {a: *a}", "callers: {a: {roles: [world], keys: [{id: x, sha256: 00, not_before: 2026-01-01, not_after: 2026-01-02}]}}", "---\n---\n", "callers: {a: {roles: !!binary x}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := callers.Parse(content)
		if err == nil && len(found) == 0 {
			t.Errorf("%q: no caller and no error", content)
		}
		for credential, p := range found {
			if credential == "" || p == nil || !loggable.MatchString(p.Name) {
				t.Errorf("%q: the credential %q names %v", content, credential, p)
			}
		}
	})
}
