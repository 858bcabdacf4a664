package oidctoken_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/callers/oidctoken"
	"github.com/osirose-new/database-service/shared/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestVerify(t *testing.T) {
	t.Parallel()
	rs, es, ed, rs512 := testenv.NewSigningKey(t, "rs", jose.RS256), testenv.NewSigningKey(t, "es", jose.ES256), testenv.NewSigningKey(t, "ed", jose.EdDSA), testenv.NewSigningKey(t, "rs512", jose.RS512)
	stranger := testenv.NewSigningKey(t, "rs", jose.RS256)
	i := testenv.NewIssuer(t, rs, es, ed, rs512)
	v := oidctoken.New(i.URL, testenv.TokenAudience)
	for what, text := range map[string]string{"RS256": i.Token(t, rs, nil), "ES256": i.Token(t, es, nil), "EdDSA": i.Token(t, ed, nil)} {
		got, err := v.Verify(t.Context(), text)
		if err != nil || got.Subject != testenv.TokenSubject || time.Until(got.Expires) > time.Hour {
			t.Errorf("%s: %+v, %v, want the subject for an hour", what, got, err)
		}
	}
	good := i.Token(t, es, nil)
	for what, text := range map[string]string{
		"another algorithm":    i.Token(t, rs512, nil),
		"a shared secret":      i.Token(t, testenv.NewSigningKey(t, "es", jose.HS256), nil),
		"no algorithm":         "eyJhbGciOiJub25lIn0." + good[len("eyJhbGciOiJub25lIn0."):],
		"another key":          i.Token(t, stranger, nil),
		"an unknown key":       i.Token(t, testenv.NewSigningKey(t, "new", jose.ES256), nil),
		"another issuer":       i.Token(t, es, func(c *jwt.Claims) { c.Issuer = "https://issuer.example" }),
		"another audience":     i.Token(t, es, func(c *jwt.Claims) { c.Audience = jwt.Audience{"other"} }),
		"no audience":          i.Token(t, es, func(c *jwt.Claims) { c.Audience = nil }),
		"expired":              i.Token(t, es, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Now().Add(-time.Minute)) }),
		"no end":               i.Token(t, es, func(c *jwt.Claims) { c.Expiry = nil }),
		"not valid yet":        i.Token(t, es, func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(time.Now().Add(time.Hour)) }),
		"a changed signature":  good[:len(good)-8] + "AAAAAAAA",
		"no token":             "eyJ",
		"three empty parts":    "..",
		"nothing":              "",
		"without a key's name": i.Token(t, jose.JSONWebKey{Key: stranger.Key, Algorithm: "RS256"}, nil),
	} {
		if got, err := v.Verify(t.Context(), text); err == nil || errors.Is(err, callers.ErrIssuer) {
			t.Errorf("%s: %+v, %v, want a refusal", what, got, err)
		}
	}
}

// verifying returns a function that verifies a new token which a key has signed.
func verifying(t *testing.T, v *oidctoken.Issuer, i *testenv.Issuer) func(jose.JSONWebKey) error {
	return func(k jose.JSONWebKey) error {
		_, err := v.Verify(t.Context(), i.Token(t, k, nil))
		return err
	}
}

// TestRotation checks that a token with a new key works as soon as the issuer has published the key.
func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := testenv.NewSigningKey(t, "1", jose.ES256), testenv.NewSigningKey(t, "2", jose.ES256)
	i := testenv.NewIssuer(t, before)
	v := oidctoken.New(i.URL, testenv.TokenAudience)
	verify := verifying(t, v, i)
	if err := verify(before); err != nil {
		t.Fatal(err)
	}
	i.Publish(before, after)
	for _, k := range []jose.JSONWebKey{after, before, after} {
		if err := verify(k); err != nil {
			t.Errorf("key %s: %v", k.KeyID, err)
		}
	}
}

// TestIssuerDown checks that known keys keep working, and that what cannot be checked is not refused for good.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	known, next := testenv.NewSigningKey(t, "1", jose.ES256), testenv.NewSigningKey(t, "2", jose.ES256)
	i := testenv.NewIssuer(t, known)
	v := oidctoken.New(i.URL, testenv.TokenAudience)
	verify := verifying(t, v, i)
	i.SetDown(true)
	if err := verify(known); !errors.Is(err, callers.ErrIssuer) {
		t.Errorf("before the first answer: %v, want ErrIssuer", err)
	}
	i.SetDown(false)
	if err := verify(known); err != nil {
		t.Errorf("the issuer is up: %v", err)
	}
	i.SetDown(true)
	i.Publish(known, next)
	if err := verify(known); err != nil {
		t.Errorf("a known key while the issuer is down: %v", err)
	}
	if err := verify(next); !errors.Is(err, callers.ErrIssuer) {
		t.Errorf("a new key while the issuer is down: %v, want ErrIssuer", err)
	}
	i.SetDown(false)
	if err := verify(next); err != nil {
		t.Errorf("a new key when the issuer is up again: %v", err)
	}
}

// TestWithdrawnKey checks that a key which the issuer no longer publishes ends, once the issuer is asked again.
func TestWithdrawnKey(t *testing.T) {
	t.Parallel()
	withdrawn, kept := testenv.NewSigningKey(t, "1", jose.ES256), testenv.NewSigningKey(t, "2", jose.ES256)
	i := testenv.NewIssuer(t, withdrawn, kept)
	v := oidctoken.New(i.URL, testenv.TokenAudience)
	clock := oidctoken.SetClock(v)
	verify := verifying(t, v, i)
	if err := verify(withdrawn); err != nil {
		t.Fatal(err)
	}
	i.Publish(kept)
	if err := verify(withdrawn); err != nil {
		t.Errorf("before the keys are old: %v", err)
	}
	i.SetDown(true)
	clock.Add(11 * 60)
	for range 3 {
		if err := verify(withdrawn); err != nil {
			t.Errorf("while the issuer is down: %v", err)
		}
		oidctoken.AwaitRenewal(v)
	}
	i.SetDown(false)
	if err := verify(withdrawn); err != nil { // begins the renewal
		t.Errorf("when the issuer is up again: %v", err)
	}
	oidctoken.AwaitRenewal(v)
	if err := verify(withdrawn); err == nil || errors.Is(err, callers.ErrIssuer) {
		t.Errorf("with the issuer's keys of now: %v, want a refusal", err)
	}
	if err := verify(kept); err != nil {
		t.Errorf("the kept key: %v", err)
	}
}

// TestIssuerCauses checks that the error says why a token cannot be checked.
func TestIssuerCauses(t *testing.T) {
	t.Parallel()
	k := testenv.NewSigningKey(t, "1", jose.ES256)
	i := testenv.NewIssuer(t, k)
	down := testenv.NewIssuer(t, k)
	down.SetDown(true)
	for url, want := range map[string]string{
		i.URL + "/x":         "the issuer does not answer: it answers 404",
		i.URL + "/":          "the issuer does not answer: its configuration names another issuer than OIDC_ISSUER, or is not valid; a slash at the end counts",
		down.URL:             "the issuer does not answer: it answers 503",
		"http://127.0.0.1:1": "the issuer does not answer: connection refused",
	} {
		if _, err := oidctoken.New(url, testenv.TokenAudience).Verify(t.Context(), i.Token(t, k, nil)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

// TestTooManyWait checks that a bounded number of requests waits for the issuer.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	k := testenv.NewSigningKey(t, "1", jose.ES256)
	free := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
	defer s.Close()
	defer close(free)
	v, token := oidctoken.New(s.URL, testenv.TokenAudience), testenv.NewIssuer(t).Token(t, k, nil)
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error)
	const requests, waiting = 100, 64
	for range requests {
		go func() {
			_, err := v.Verify(ctx, token)
			results <- err
		}()
	}
	for range requests - waiting { // these do not wait
		if err := <-results; !errors.Is(err, callers.ErrIssuer) {
			t.Errorf("%v, want ErrIssuer", err)
		}
	}
	cancel()
	for range waiting {
		<-results
	}
}

// TestCallerGivesUp checks that a request does not wait longer than its caller.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	k := testenv.NewSigningKey(t, "1", jose.ES256)
	asked, free := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-free
	}))
	defer s.Close()
	defer close(free)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := oidctoken.New(s.URL, testenv.TokenAudience).Verify(ctx, testenv.NewIssuer(t).Token(t, k, nil)); !errors.Is(err, callers.ErrIssuer) {
		t.Errorf("%v, want ErrIssuer", err)
	}
}
