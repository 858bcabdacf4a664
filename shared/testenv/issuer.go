package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is an OpenID Connect issuer on this machine.
type Issuer struct {
	URL string

	mu   sync.Mutex
	keys []jose.JSONWebKey
	down bool
}

// NewIssuer returns an issuer that publishes keys.
func NewIssuer(t testing.TB, keys ...jose.JSONWebKey) *Issuer {
	t.Helper()
	i := &Issuer{keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serve(func() any {
		return map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
	}))
	mux.HandleFunc("GET /keys", i.serve(func() any {
		var public jose.JSONWebKeySet
		for _, k := range i.keys {
			public.Keys = append(public.Keys, k.Public())
		}
		return public
	}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

func (i *Issuer) serve(answer func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(answer()) // fails if the client has gone
	}
}

// SetDown makes the issuer answer 503, or its answers again.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Publish makes keys the keys of the issuer.
func (i *Issuer) Publish(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// NewSigningKey returns a key of an issuer.
func NewSigningKey(t testing.TB, id string, algorithm jose.SignatureAlgorithm) jose.JSONWebKey {
	t.Helper()
	var private crypto.PrivateKey
	var err error
	switch algorithm {
	case jose.RS256, jose.RS512:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case jose.HS256:
		private = []byte("a shared secret of 32 bytes or more")
	default:
		t.Fatalf("no key for %s", algorithm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{KeyID: id, Key: private, Algorithm: string(algorithm), Use: "sig"}
}

// The audience and the subject of the tokens of [Issuer.Token].
const (
	TokenAudience = "database-service"
	TokenSubject  = "system:serviceaccount:game:world"
)

// Token signs a token that is valid for an hour, after change, which may be nil, has changed its claims.
func (i *Issuer) Token(t testing.TB, k jose.JSONWebKey, change func(*jwt.Claims)) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: k}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := jwt.Claims{
		Issuer: i.URL, Subject: TokenSubject, Audience: jwt.Audience{TokenAudience, "other"},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}
	if change != nil {
		change(&c)
	}
	text, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
