// Package callers says who calls, and what the caller may do.
//
// A [Gate] identifies the caller of each request by exactly one credential: a client certificate, a JSON Web Token of a workload,
// an API key, or, on Lambda, the IAM principal that the gateway has verified. One file, CALLERS_FILE, names the callers, their
// credentials and their roles. A role is a set of rights, and each request needs some ([Needed]).
//
// While there are requests, the file is looked at once a second. A request that comes 1 s after a caller's credential was removed
// is refused, on an open connection too.
package callers

import (
	"context"
	"strings"
	"time"

	"github.com/twitchtv/twirp"
)

// Principal is a caller that was identified.
type Principal struct {
	Name   string // in CALLERS_FILE; a log line has it
	Rights Rights
}

// Credentials are what a request brings to prove who sends it.
type Credentials struct {
	Connection    *Connection // nil on Lambda
	Authorization []string    // the values of this header
	ARN           string      // of the IAM principal that a gateway has verified; Lambda only
}

// Refusal is why a request has no principal.
type Refusal struct {
	Error twirp.Error // for the caller. It does not tell an unknown credential from an expired one.
	Cause string      // for the log; it contains no credential
}

func refusal(code twirp.ErrorCode, reason, msg string) *Refusal {
	return &Refusal{Error: twirp.NewError(code, msg).WithMeta("reason", reason)}
}

// because returns r with a cause.
func (r *Refusal) because(cause string) *Refusal { return &Refusal{r.Error, cause} }

var (
	errNone = refusal(twirp.Unauthenticated, "NO_IDENTITY",
		"the request proves no identity: present a client certificate, or an API key or a token as Authorization: Bearer")
	errTwo = refusal(twirp.Unauthenticated, "TWO_IDENTITIES",
		"the request brings more than one credential: present either a client certificate or one Authorization header")
	errRefused   = refusal(twirp.Unauthenticated, "IDENTITY_REFUSED", "the credential is not valid here")
	errPlaintext = refusal(twirp.Unauthenticated, "PLAINTEXT_CREDENTIAL",
		"a key or token came over plain text, where others can read it: use TLS, and replace the credential")
	errIssuer = refusal(twirp.Unavailable, "ISSUER_UNAVAILABLE", "the token cannot be checked, because its issuer does not answer; try again")
	errNoIAM  = refusal(twirp.Unauthenticated, "NO_IDENTITY", "the gateway has verified no IAM identity: sign the request")
)

// Gate identifies callers.
type Gate struct {
	options Options
	files   files
	tokens  tokenMemory
}

// Options of a Gate.
type Options struct {
	File         string // CALLERS_FILE; empty: each IAM principal has all rights
	ClientCAFile string // PEM; empty: certificates prove nothing
	Tokens       Tokens // nil: JSON Web Tokens prove nothing
	IAM          bool   // the program is a Lambda function: only the gateway's event proves an identity
	Plaintext    bool   // accept keys and tokens over plain text from other machines too
	// OnReload is called when a changed file was read again (nil), or is not valid (the error names the file).
	OnReload func(error)
}

// New reads the files. It returns nil if o asks for no identity: then any caller has all rights.
func New(o Options) (*Gate, error) {
	if o.File == "" && !o.IAM {
		return nil, nil //nolint:nilnil // a nil Gate is valid: see Any
	}
	g := &Gate{options: o}
	if err := g.files.open(o); err != nil {
		return nil, err
	}
	return g, nil
}

// Any reports whether any caller has all rights, because no callers are configured.
func (g *Gate) Any() bool { return g == nil }

// Count returns the number of callers in CALLERS_FILE. It is 0 if there is no file.
func (g *Gate) Count() int {
	if g == nil {
		return 0
	}
	return g.files.now.Load().callers
}

// Identify returns the principal of a request. It blocks only while the keys of a token's issuer are fetched.
func (g *Gate) Identify(ctx context.Context, c Credentials, now time.Time) (*Principal, *Refusal) {
	of := g.files.current(now)
	if g.options.IAM {
		return of.byARN(c.ARN)
	}
	certified := of.authorities != nil && len(c.Connection.certificates()) > 0
	switch {
	case len(c.Authorization) > 1, certified && len(c.Authorization) > 0:
		return nil, errTwo
	case certified:
		return c.Connection.identify(of, now)
	case len(c.Authorization) == 0:
		return nil, errNone
	}
	bearer, ok := cutBearer(c.Authorization[0])
	switch {
	case !g.options.Plaintext && !c.Connection.isPrivate():
		return nil, errPlaintext.because(of.describeKey(bearer))
	case !ok:
		return nil, errRefused.because("the Authorization header is not a bearer credential")
	case isKey(bearer):
		return of.byKey(bearer, now)
	case g.options.Tokens == nil:
		return nil, errRefused.because("neither an API key nor, without OIDC_ISSUER, a token")
	}
	return g.byToken(ctx, of, bearer, now)
}

// cutBearer returns the credential of an Authorization header. The scheme's case does not matter: RFC 9110, section 11.1.
func cutBearer(header string) (string, bool) {
	const scheme = "bearer "
	if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimSpace(header[len(scheme):]), true
}
