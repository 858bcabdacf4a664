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

// MaxLen is the maximum length of a session token in bytes. better-auth's token has 32 characters and its signature 44;
// percent-encoding triples some of them.
const MaxLen = 512

// Verifier returns the database's token for a token or cookie of a caller. The zero Verifier ignores signatures.
type Verifier struct {
	secrets [][]byte
}

// NewVerifier returns a Verifier that accepts signatures by any of the secrets: while a secret is rotated, better-auth's
// processes sign with the new one and the old one. Empty secrets do not count. Without a secret, signatures are ignored.
func NewVerifier(secrets ...string) Verifier {
	var v Verifier
	for _, s := range secrets {
		if s != "" {
			v.secrets = append(v.secrets, []byte(s))
		}
	}
	return v
}

// Token returns the token in raw, which is the bare token or the cookie form token.signature, optionally
// percent-encoded. It returns false for values that better-auth cannot have issued: the signature is wrong, or a text
// column cannot store the token.
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
	if token == "" || len(v.secrets) > 0 && !v.signed(token, raw[dot+1:]) {
		return "", false
	}
	return token, true
}

// signed checks the signature of better-auth's cookies: base64(HMAC-SHA-256(secret, token)), as in better-call's signed
// cookies.
func (v Verifier) signed(token, signature string) bool {
	got, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	for _, secret := range v.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(token))
		if hmac.Equal(got, mac.Sum(nil)) {
			return true
		}
	}
	return false
}
