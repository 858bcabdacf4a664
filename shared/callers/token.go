package callers

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// Tokens verifies the JSON Web Tokens of workloads.
type Tokens interface {
	// Verify returns what a valid token says. The error is ErrIssuer if the issuer's keys could not be fetched.
	Verify(ctx context.Context, token string) (Token, error)
}

// Token is what a valid token says.
type Token struct {
	Subject string
	Expires time.Time
}

// ErrIssuer means that a token may be valid, but the keys of its issuer cannot be fetched.
var ErrIssuer = errors.New("the issuer does not answer")

const (
	// maxTokens bounds the memory for verified tokens. Each workload has one token at a time.
	maxTokens = 4096
	// maxMemory is how long a token is remembered at most, so that one whose key the issuer has withdrawn ends.
	maxMemory = 10 * time.Minute
)

// tokenMemory remembers verified tokens by their hash, until they expire: a signature takes a thousand times as long to check.
type tokenMemory struct {
	mu     sync.Mutex
	tokens map[[sha256.Size]byte]Token
}

// byToken finds the caller of a token.
func (g *Gate) byToken(ctx context.Context, of *snapshot, token string, now time.Time) (*Principal, *Refusal) {
	sum := sha256.Sum256([]byte(token))
	t, known := g.tokens.get(sum, now)
	if !known {
		var err error
		t, err = g.options.Tokens.Verify(ctx, token)
		switch {
		case errors.Is(err, ErrIssuer):
			return nil, errIssuer.because(err.Error()) // package oidctoken's text
		case err != nil:
			return nil, errRefused.because("the token is not valid, or not from OIDC_ISSUER, or not for OIDC_AUDIENCE")
		case !now.Before(t.Expires):
			return nil, errRefused.because("the token has expired")
		}
		g.tokens.put(sum, t, now)
	}
	if p := of.subjects[t.Subject]; p != nil {
		return p, nil
	}
	return nil, errRefused.because("no caller in CALLERS_FILE has the token's subject")
}

func (m *tokenMemory) get(sum [sha256.Size]byte, now time.Time) (Token, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, known := m.tokens[sum]
	return t, known && now.Before(t.Expires)
}

// put remembers a token. If the memory is full, it forgets those that have expired, or else any one.
func (m *tokenMemory) put(sum [sha256.Size]byte, t Token, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == nil {
		m.tokens = map[[sha256.Size]byte]Token{}
	}
	if len(m.tokens) >= maxTokens {
		for of, t := range m.tokens {
			if !now.Before(t.Expires) {
				delete(m.tokens, of)
			}
		}
		for of := range m.tokens {
			if len(m.tokens) < maxTokens {
				break
			}
			delete(m.tokens, of)
		}
	}
	if end := now.Add(maxMemory); end.Before(t.Expires) {
		t.Expires = end
	}
	m.tokens[sum] = t
}
