package callers_test

import (
	"context"
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// start is the time of the tests' clock.
var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// world is a gate and what it reads.
type world struct {
	gate             *callers.Gate
	callers, clients string // files
	reloads          []error
	now              time.Time
}

func newWorld(t testing.TB, o callers.Options, file, authorities string) *world {
	t.Helper()
	w := &world{now: start}
	dir := t.TempDir()
	if o.File = filepath.Join(dir, "callers.yaml"); file != "" {
		testenv.ReplaceFile(t, o.File, file)
	}
	if authorities != "" {
		o.ClientCAFile = filepath.Join(dir, "ca.pem")
		testenv.ReplaceFile(t, o.ClientCAFile, authorities)
	}
	w.callers, w.clients = o.File, o.ClientCAFile
	o.OnReload = func(err error) { w.reloads = append(w.reloads, err) }
	var err error
	if w.gate, err = callers.New(o); err != nil {
		t.Fatal(err)
	}
	w.ask(t, callers.Credentials{}) // at the test's time, from which the next second counts
	return w
}

// ask returns the caller's name, or the reason of the refusal and its cause.
func (w *world) ask(t testing.TB, c callers.Credentials) string {
	t.Helper()
	p, refused := w.gate.Identify(t.Context(), c, w.now)
	switch {
	case p != nil && refused != nil, p == nil && refused == nil:
		t.Fatalf("%v and %v", p, refused)
	case refused != nil:
		return refused.Error.Meta("reason") + ": " + refused.Cause
	}
	return p.Name
}

func bearer(connection *callers.Connection, values ...string) callers.Credentials {
	c := callers.Credentials{Connection: connection}
	for _, v := range values {
		c.Authorization = append(c.Authorization, "Bearer "+v)
	}
	return c
}

func entryOf(t testing.TB, name string, k callers.Key) string {
	t.Helper()
	text, err := callers.Entry(name, []string{"world"}, k, start, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestKeys(t *testing.T) {
	t.Parallel()
	k := callers.NewKey()
	other := callers.NewKey()
	w := newWorld(t, callers.Options{}, entryOf(t, "game", k), "")
	secure, local, plain := callers.Connected(true, false), callers.Connected(false, true), callers.Connected(false, false)
	wrong := k.Text[:len(k.Text)-1] + "a"
	if wrong == k.Text {
		wrong = k.Text[:len(k.Text)-1] + "b"
	}
	for what, test := range map[string]struct {
		credentials callers.Credentials
		at          time.Duration
		want        string
	}{
		"TLS":                     {bearer(secure, k.Text), 0, "game"},
		"loopback":                {bearer(local, k.Text), 0, "game"},
		"scheme in lower case":    {callers.Credentials{Connection: local, Authorization: []string{"bearer " + k.Text}}, 0, "game"},
		"plain text":              {bearer(plain, k.Text), 0, "PLAINTEXT_CREDENTIAL: the API key " + k.ID},
		"no connection":           {bearer(nil, k.Text), 0, "PLAINTEXT_CREDENTIAL: the API key " + k.ID},
		"nothing":                 {bearer(secure), 0, "NO_IDENTITY: "},
		"two":                     {bearer(secure, k.Text, k.Text), 0, "TWO_IDENTITIES: "},
		"another's, plain text":   {bearer(plain, other.Text), 0, "PLAINTEXT_CREDENTIAL: "},
		"wrong secret":            {bearer(secure, wrong), 0, "IDENTITY_REFUSED: the API key " + k.ID + " came with a wrong secret"},
		"other key":               {bearer(secure, other.Text), 0, "IDENTITY_REFUSED: no caller in CALLERS_FILE has the API key"},
		"no secret":               {bearer(secure, "osr_"+k.ID), 0, "IDENTITY_REFUSED: the API key has not the form of one"},
		"short secret":            {bearer(secure, "osr_"+k.ID+"_a"), 0, "IDENTITY_REFUSED: the API key has not the form of one"},
		"nothing after the start": {bearer(secure, "osr_"), 0, "IDENTITY_REFUSED: the API key has not the form of one"},
		"empty":                   {bearer(secure, ""), 0, "IDENTITY_REFUSED: neither an API key nor, without OIDC_ISSUER, a token"},
		"a token":                 {bearer(secure, "eyJhbGciOiJub25lIn0.e30."), 0, "IDENTITY_REFUSED: neither an API key nor, without OIDC_ISSUER, a token"},
		"password":                {callers.Credentials{Connection: secure, Authorization: []string{"Basic " + k.Text}}, 0, "IDENTITY_REFUSED: the Authorization header is not a bearer credential"},
		"ARN":                     {callers.Credentials{Connection: secure, ARN: "arn:aws:iam::1:user/x"}, 0, "NO_IDENTITY: "},
		"too early":               {bearer(secure, k.Text), -time.Second, "IDENTITY_REFUSED: the API key " + k.ID + " is not valid yet"},
		"last second":             {bearer(secure, k.Text), time.Hour - time.Second, "game"},
		"expired":                 {bearer(secure, k.Text), time.Hour, "IDENTITY_REFUSED: the API key " + k.ID + " has expired"},
	} {
		w.now = start.Add(test.at)
		if got := w.ask(t, test.credentials); got != test.want {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
	insecure := newWorld(t, callers.Options{Plaintext: true}, entryOf(t, "game", k), "")
	if got := insecure.ask(t, bearer(plain, k.Text)); got != "game" {
		t.Errorf("plain text, allowed: %q, want game", got)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, stranger := testenv.NewAuthority(t, start), testenv.NewAuthority(t, start)
	between := ca.Issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	w := newWorld(t, callers.Options{}, `
callers:
  map: {roles: [world], certificates: ["spiffe://game/world", "map.game.svc"]}
  web: {roles: [web], certificates: ["spiffe://game/web", "web.game.svc"]}
`, ca.PEM())
	old := testenv.URI(t, "spiffe://game/world")
	old.NotBefore, old.NotAfter = start.Add(-time.Hour), start.Add(-time.Minute)
	server := testenv.URI(t, "spiffe://game/world")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	both := testenv.URI(t, "spiffe://game/other")
	both.DNSNames = []string{"map.game.svc"}
	one := func(a testenv.Authority, c *x509.Certificate) []*x509.Certificate {
		return []*x509.Certificate{a.Issue(t, c).Cert}
	}
	for what, test := range map[string]struct {
		chain []*x509.Certificate
		want  string
	}{
		"URI":                    {one(ca, testenv.URI(t, "spiffe://game/world")), "map"},
		"DNS":                    {one(ca, &x509.Certificate{DNSNames: []string{"map.game.svc"}}), "map"},
		"DNS, also other names":  {one(ca, &x509.Certificate{DNSNames: []string{"map", "map.game.svc"}}), "map"},
		"intermediate":           {append(one(between, testenv.URI(t, "spiffe://game/web")), between.Cert), "web"},
		"too many others":        {append(one(ca, testenv.URI(t, "spiffe://game/world")), ca.Cert, ca.Cert, ca.Cert, ca.Cert), "IDENTITY_REFUSED: the certificate came with too many others"},
		"intermediate not sent":  {one(between, testenv.URI(t, "spiffe://game/web")), "IDENTITY_REFUSED: the certificate is not from an authority in TLS_CLIENT_CA_FILE"},
		"URI before DNS":         {one(ca, both), "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
		"no name":                {one(ca, &x509.Certificate{}), "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
		"unknown name":           {one(ca, testenv.URI(t, "spiffe://game/worlds")), "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
		"two callers":            {one(ca, &x509.Certificate{DNSNames: []string{"map.game.svc", "web.game.svc"}}), "IDENTITY_REFUSED: the certificate names two callers"},
		"expired":                {one(ca, old), "IDENTITY_REFUSED: the certificate has expired or is not valid yet"},
		"for servers":            {one(ca, server), "IDENTITY_REFUSED: the certificate is not valid for a client"},
		"another authority":      {one(stranger, testenv.URI(t, "spiffe://game/world")), "IDENTITY_REFUSED: the certificate is not from an authority in TLS_CLIENT_CA_FILE"},
		"signed by itself":       {one(testenv.SelfSigned(start), testenv.URI(t, "spiffe://game/world")), "IDENTITY_REFUSED: the certificate is not from an authority in TLS_CLIENT_CA_FILE"},
		"the authority's chain":  {append(one(stranger, testenv.URI(t, "spiffe://game/world")), ca.Cert), "IDENTITY_REFUSED: the certificate is not from an authority in TLS_CLIENT_CA_FILE"},
		"subject is the address": {one(ca, &x509.Certificate{EmailAddresses: []string{"map.game.svc"}}), "IDENTITY_REFUSED: the certificate names no caller in CALLERS_FILE"},
	} {
		if got := w.ask(t, callers.Credentials{Connection: callers.Connected(true, false, test.chain...)}); got != test.want {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
	chain := one(ca, testenv.URI(t, "spiffe://game/world"))
	if got := w.ask(t, bearer(callers.Connected(true, false, chain...), callers.NewKey().Text)); got != "TWO_IDENTITIES: " {
		t.Errorf("a certificate and a key: %q, want TWO_IDENTITIES", got)
	}
	k := callers.NewKey()
	noAuthorities := newWorld(t, callers.Options{}, entryOf(t, "game", k), "")
	if got := noAuthorities.ask(t, bearer(callers.Connected(true, false, chain...), k.Text)); got != "game" {
		t.Errorf("a certificate that proves nothing, and a key: %q, want game", got)
	}
}

// fakeIssuer knows the token eyJ.good of the subject sub.
type fakeIssuer struct {
	asked int
	fails error
}

func (f *fakeIssuer) Verify(_ context.Context, token string) (callers.Token, error) {
	f.asked++
	if token != "eyJ.good" || f.fails != nil {
		return callers.Token{}, errors.Join(errors.New("wrong"), f.fails)
	}
	return callers.Token{Subject: "sub", Expires: start.Add(time.Minute)}, nil
}

// TestTokens checks that a token is verified once, and refused from its end on.
func TestTokens(t *testing.T) {
	t.Parallel()
	issuer := &fakeIssuer{}
	w := newWorld(t, callers.Options{Tokens: issuer}, `callers: {map: {roles: [world], subjects: [sub]}}`, "")
	secure := callers.Connected(true, false)
	good := bearer(secure, "eyJ.good")
	for range 3 {
		if got := w.ask(t, good); got != "map" {
			t.Fatalf("%q, want map", got)
		}
	}
	issuer.fails = callers.ErrIssuer
	if got := w.ask(t, good); got != "map" || issuer.asked != 1 {
		t.Errorf("a known token while the issuer is down: %q after %d questions, want map after 1", got, issuer.asked)
	}
	if got := w.ask(t, bearer(secure, "eyJ.new")); !strings.HasPrefix(got, "ISSUER_UNAVAILABLE: ") || !strings.Contains(got, "the issuer does not answer") {
		t.Errorf("a new token while the issuer is down: %q, want ISSUER_UNAVAILABLE", got)
	}
	issuer.fails = nil
	if got := w.ask(t, bearer(secure, "eyJ.bad")); !strings.HasPrefix(got, "IDENTITY_REFUSED: the token is not valid") {
		t.Errorf("a bad token: %q, want a refusal", got)
	}
	if got := w.ask(t, bearer(callers.Connected(false, false), "eyJ.good")); got != "PLAINTEXT_CREDENTIAL: " {
		t.Errorf("over plain text: %q, want PLAINTEXT_CREDENTIAL", got)
	}
	w.now = start.Add(time.Minute)
	if got := w.ask(t, good); got != "IDENTITY_REFUSED: the token has expired" {
		t.Errorf("at its end: %q, want a refusal", got)
	}
	testenv.ReplaceFile(t, w.callers, `callers: {map: {roles: [world], subjects: [another]}}`)
	w.now = start.Add(2 * time.Second)
	fresh := newWorld(t, callers.Options{Tokens: issuer}, `callers: {map: {roles: [world], subjects: [another]}}`, "")
	if got := fresh.ask(t, good); got != "IDENTITY_REFUSED: no caller in CALLERS_FILE has the token's subject" {
		t.Errorf("a subject without a caller: %q, want a refusal", got)
	}
}

func TestIAM(t *testing.T) {
	t.Parallel()
	w := newWorld(t, callers.Options{IAM: true}, `
callers:
  map: {roles: [world], aws: ["arn:aws:iam::123456789012:role/path/world"]}
  web: {roles: [web], aws: ["arn:aws:sts::123456789012:assumed-role/web", "arn:aws-cn:iam::123456789012:user/web"]}
`, "")
	all, err := callers.New(callers.Options{IAM: true})
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]string{
		"arn:aws:sts::123456789012:assumed-role/world/i-0123": "map",
		"arn:aws:sts::123456789012:assumed-role/web/a@b.c":    "web",
		"arn:aws-cn:iam::123456789012:user/web":               "web",
		"arn:aws:iam::123456789012:user/web":                  "IDENTITY_REFUSED: no caller in CALLERS_FILE has the IAM principal user/web",
		"arn:aws:sts::999999999999:assumed-role/world/i-0123": "IDENTITY_REFUSED: no caller in CALLERS_FILE has the IAM principal assumed-role/world",
		"arn:aws:iam::123456789012:root":                      "IDENTITY_REFUSED: no caller in CALLERS_FILE has the IAM principal root",
		"":                                                    "NO_IDENTITY: ",
	} {
		if got := w.ask(t, callers.Credentials{ARN: arn}); got != want {
			t.Errorf("%q: %q, want %q", arn, got, want)
		}
		p, refused := all.Identify(t.Context(), callers.Credentials{ARN: arn}, start)
		if (refused == nil) != (arn != "") || p != nil && !p.Rights.Has(callers.SaveCharacterAnyOwner|callers.Metrics) {
			t.Errorf("without CALLERS_FILE, %q: %v, %v, want all rights for each identity", arn, p, refused)
		}
	}
	k := callers.NewKey()
	byKey := newWorld(t, callers.Options{IAM: true}, entryOf(t, "game", k), "")
	if got := byKey.ask(t, bearer(callers.Connected(true, false), k.Text)); got != "NO_IDENTITY: " {
		t.Errorf("a key in a function: %q, want NO_IDENTITY", got)
	}
}
