// Package oidctoken verifies the JSON Web Tokens of workloads by OpenID Connect: projected tokens of Kubernetes, tokens of AWS's
// sts:GetWebIdentityToken, and those of any other issuer. Functions must not link it.
package oidctoken

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/errtext"
)

const (
	// fetchTimeout bounds a fetch of the issuer's keys. A request waits for it until its own deadline.
	fetchTimeout = 5 * time.Second
	// fetchEvery is the shortest interval between fetches: a token with a made-up key id causes one.
	fetchEvery = 250 * time.Millisecond
	// maxWaiting is the number of requests that wait for a fetch. The rest is refused at once.
	maxWaiting = 64
	// keysAge is how long keys are used before they are fetched anew, so that a key that the issuer has withdrawn ends. While the
	// issuer does not answer, they are used for longer.
	keysAge = 10 * time.Minute
)

// Issuer verifies the tokens of one issuer. It fetches the issuer's keys when a token needs one that it does not know. Known keys
// keep working while the issuer does not answer.
type Issuer struct {
	url, audience string
	fetches       *fetches
	waiting       chan struct{} // a place for each request that waits
	now           func() time.Time

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: the issuer's configuration is not known yet
	keys     *keySet               // of the verifier
	running  chan struct{}         // closed when the running discovery has ended; nil: none runs
	failed   error                 // why the last discovery failed
}

// New returns an Issuer. It connects on first use.
func New(issuer, audience string) *Issuer {
	return &Issuer{
		url: issuer, audience: audience, waiting: make(chan struct{}, maxWaiting), now: time.Now,
		fetches: &fetches{pause: rate.NewLimiter(rate.Every(fetchEvery), 2)},
	}
}

// Verify implements callers.Tokens.
func (i *Issuer) Verify(ctx context.Context, token string) (callers.Token, error) {
	v, err := i.discovered(ctx)
	if err != nil {
		return callers.Token{}, err
	}
	var unreachable error
	t, err := v.Verify(context.WithValue(ctx, unreachableKey{}, &unreachable), token)
	switch {
	case unreachable != nil:
		return callers.Token{}, unreachable
	case err != nil:
		return callers.Token{}, err
	}
	return callers.Token{Subject: t.Subject, Expires: t.Expiry}, nil
}

// enter takes a place among the requests that wait. The caller calls leave at its end.
func (i *Issuer) enter() (leave func(), err error) {
	select {
	case i.waiting <- struct{}{}:
		return func() { <-i.waiting }, nil
	default:
		return nil, unavailable("too many requests wait for it")
	}
}

const late = "it has not answered within the request's time"

func unavailable(cause string) error { return fmt.Errorf("%w: %s", callers.ErrIssuer, cause) }

// discovered returns the verifier. The first request, and after a failure the next one, asks the issuer for its configuration;
// requests that come meanwhile wait with it.
func (i *Issuer) discovered(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	if i.verifier != nil {
		defer i.mu.Unlock()
		return i.verifier, nil
	}
	if i.running == nil {
		i.running = make(chan struct{})
		go i.discover(i.running) //nolint:gosec // it serves all requests that wait, so no one request ends it
	}
	running := i.running
	i.mu.Unlock()
	leave, err := i.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	select {
	case <-running:
	case <-ctx.Done():
		return nil, unavailable(late)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.verifier, i.failed
}

func (i *Issuer) discover(done chan struct{}) {
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: i.fetches, Timeout: fetchTimeout})
	provider, err := oidc.NewProvider(ctx, i.url)
	i.mu.Lock()
	defer i.mu.Unlock()
	switch cause := i.fetches.cause(); {
	case err == nil:
		i.failed = nil
		var discovery struct {
			Keys string `json:"jwks_uri"`
		}
		_ = provider.Claims(&discovery) // NewProvider has decoded it
		i.keys = &keySet{issuer: i, fetch: func() *oidc.RemoteKeySet { return oidc.NewRemoteKeySet(ctx, discovery.Keys) }}
		i.keys.now.Store(&aged{i.keys.fetch(), i.now()})
		i.verifier = oidc.NewVerifier(i.url, i.keys, &oidc.Config{
			ClientID: i.audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.EdDSA}, Now: i.now,
		})
	case cause != "":
		i.failed = unavailable(cause)
	default:
		i.failed = unavailable("its configuration names another issuer than OIDC_ISSUER, or is not valid; a slash at the end counts")
	}
	i.running = nil
	close(done)
}

// unreachableKey is the context key of an *error that says why the keys could not be fetched. go-oidc's error does not say it.
type unreachableKey struct{}

// keySet is the issuer's keys, fetched anew when they are old.
type keySet struct {
	issuer *Issuer
	fetch  func() *oidc.RemoteKeySet // returns a set without keys, which fetches them on first use
	now    atomic.Pointer[aged]
	renews sync.Mutex // locked during a renewal
}

type aged struct {
	*oidc.RemoteKeySet
	since time.Time
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	keys := k.now.Load()
	if k.issuer.now().Sub(keys.since) > keysAge && k.renews.TryLock() {
		go k.renew(context.WithoutCancel(ctx), token)
	}
	known, cancel := context.WithCancel(ctx) // known keys only: this begins a fetch if none fits, and does not wait for it
	cancel()
	payload, err := keys.VerifySignature(known, token)
	if err == nil {
		return payload, nil
	}
	unreachable := ctx.Value(unreachableKey{}).(*error)
	leave, err := k.issuer.enter()
	if err != nil {
		*unreachable = err
		return nil, err
	}
	defer leave()
	payload, err = keys.VerifySignature(ctx, token) // waits for the fetch until ctx ends
	cause := k.issuer.fetches.cause()
	switch {
	case err != nil && ctx.Err() != nil:
		*unreachable = unavailable(late)
	case err != nil && cause != "":
		*unreachable = unavailable(cause)
	}
	return payload, err
}

// renew replaces the keys by those that the issuer publishes now, unless they cannot be fetched. The token makes the new set fetch.
func (k *keySet) renew(ctx context.Context, token string) {
	defer k.renews.Unlock()
	fresh := k.fetch()
	if _, err := fresh.VerifySignature(ctx, token); err == nil || k.issuer.fetches.cause() == "" {
		k.now.Store(&aged{fresh, k.issuer.now()})
	}
}

// fetches is the transport to the issuer. It leaves a pause between two requests.
type fetches struct {
	pause *rate.Limiter
	last  atomic.Pointer[string] // why the last one failed; empty: it did not
}

// cause returns why the last request failed, or "".
func (f *fetches) cause() string {
	if last := f.last.Load(); last != nil {
		return *last
	}
	return ""
}

// RoundTrip implements http.RoundTripper.
func (f *fetches) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := f.pause.Wait(r.Context()); err != nil {
		return nil, err
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	cause := ""
	switch {
	case err != nil:
		cause = errtext.ForLog(err)
	case response.StatusCode != http.StatusOK:
		cause = "it answers " + strconv.Itoa(response.StatusCode)
	}
	f.last.Store(&cause)
	return response, err
}
