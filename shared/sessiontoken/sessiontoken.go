// Package sessiontoken has what UserService and SessionService share: it reads the forms of better-auth's session token,
// checks how a request names a session, and selects that session's row.
package sessiontoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxLen is the length in bytes from which on a string is no credential. better-auth's token has 32 characters, its
// signature 44, and percent-encoding makes three of some.
const MaxLen = 512

// Verifier turns what a caller holds into the token that the database knows. The zero Verifier does not look at
// signatures.
type Verifier struct {
	secret []byte
}

// NewVerifier returns a Verifier for BETTER_AUTH_SECRET; an empty secret leaves signatures unread.
func NewVerifier(secret string) Verifier { return Verifier{secret: []byte(secret)} }

// Token returns the token in raw: the bare token, or the cookie form token.signature, perhaps percent-encoded. It is
// false for what better-auth never handed out: where the signature does not fit, or no text column could hold the token.
func (v Verifier) Token(raw string) (token string, ok bool) {
	if strings.Contains(raw, "%") {
		decoded, err := url.PathUnescape(raw)
		if err != nil || !utf8.ValidString(decoded) || strings.IndexByte(decoded, 0) >= 0 {
			return "", false
		}
		raw = decoded
	}
	dot := strings.LastIndexByte(raw, '.')
	if dot < 0 {
		return raw, raw != ""
	}
	token = raw[:dot]
	if token == "" || len(v.secret) > 0 && !v.signed(token, raw[dot+1:]) {
		return "", false
	}
	return token, true
}

// signed checks base64(HMAC-SHA-256(secret, token)), the signature of better-auth's cookies (better-call's signed
// cookies).
func (v Verifier) signed(token, signature string) bool {
	got, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte(token))
	return hmac.Equal(got, mac.Sum(nil))
}
