// Package oidctoken verifies the JSON Web Tokens of workloads by OpenID Connect: projected tokens of Kubernetes, tokens of AWS's
// sts:GetWebIdentityToken, and those of any other issuer. Functions must not link it.
package oidctoken

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/osirose-new/database-service/shared/callers"
)

const (
	// fetchTimeout bounds a fetch of the issuer's keys. A request waits for it until its own deadline.
	fetchTimeout = 5 * time.Second
	// fetchEvery is the shortest interval between fetches: a token with a made-up key id causes one.
	fetchEvery = 250 * time.Millisecond
)

// Issuer verifies the tokens of one issuer. It fetches the issuer's keys when a token needs one that it does not know. Known keys
// keep working while the issuer does not answer.
type Issuer struct {
	url, audience string
	fetches       *fetches

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: the issuer's configuration is not known yet
	running  chan struct{}         // closed when the running discovery has ended; nil: none runs
}

// New returns an Issuer. It connects on first use.
func New(issuer, audience string) *Issuer {
	return &Issuer{url: issuer, audience: audience, fetches: &fetches{pause: rate.NewLimiter(rate.Every(fetchEvery), 2)}}
}

// Verify implements callers.Tokens.
func (i *Issuer) Verify(ctx context.Context, token string) (callers.Token, error) {
	v, err := i.discovered(ctx)
	if err != nil {
		return callers.Token{}, err
	}
	var unreachable bool
	t, err := v.Verify(context.WithValue(ctx, unreachableKey{}, &unreachable), token)
	switch {
	case unreachable:
		return callers.Token{}, callers.ErrIssuer
	case err != nil:
		return callers.Token{}, err
	}
	return callers.Token{Subject: t.Subject, Expires: t.Expiry}, nil
}

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
	select {
	case <-running:
	case <-ctx.Done():
		return nil, callers.ErrIssuer
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier == nil {
		return nil, callers.ErrIssuer
	}
	return i.verifier, nil
}

func (i *Issuer) discover(done chan struct{}) {
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: i.fetches, Timeout: fetchTimeout})
	provider, err := oidc.NewProvider(ctx, i.url)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		var discovery struct {
			Keys string `json:"jwks_uri"`
		}
		_ = provider.Claims(&discovery) // NewProvider has decoded it
		keys := keySet{oidc.NewRemoteKeySet(ctx, discovery.Keys), i.fetches}
		i.verifier = oidc.NewVerifier(i.url, keys, &oidc.Config{
			ClientID: i.audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256, oidc.EdDSA},
		})
	}
	i.running = nil
	close(done)
}

// unreachableKey is the context key of a *bool that says whether the keys could not be fetched. go-oidc's error does not say it.
type unreachableKey struct{}

type keySet struct {
	*oidc.RemoteKeySet
	fetches *fetches
}

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.RemoteKeySet.VerifySignature(ctx, token)
	if err != nil && (k.fetches.failed.Load() || ctx.Err() != nil) {
		*ctx.Value(unreachableKey{}).(*bool) = true
	}
	return payload, err
}

// fetches is the transport to the issuer. It leaves a pause between two requests.
type fetches struct {
	pause  *rate.Limiter
	failed atomic.Bool // the last one did
}

// RoundTrip implements http.RoundTripper.
func (f *fetches) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := f.pause.Wait(r.Context()); err != nil {
		return nil, err
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	f.failed.Store(err != nil || response.StatusCode != http.StatusOK)
	return response, err
}
