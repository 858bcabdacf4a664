package callers

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// An API key is osr_ID_SECRET: secret scanners find the prefix, the id finds the key's entry, and the secret has 256 random bits. A
// fast hash is enough for it: it cannot be guessed, as a password can.
const (
	keyPrefix = "osr_"
	keyIDLen  = 8
	secretLen = 52 // 256 bits in base32
)

var secretAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key is a new API key.
type Key struct {
	ID     string
	Text   string // the credential
	SHA256 string // of its secret, for CALLERS_FILE
}

// NewKey returns a random key.
func NewKey() Key {
	var id [keyIDLen / 2]byte
	var secret [32]byte
	rand.Read(id[:])
	rand.Read(secret[:])
	k := Key{ID: hex.EncodeToString(id[:])}
	text := secretAlphabet.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(text))
	k.Text, k.SHA256 = keyPrefix+k.ID+"_"+text, hex.EncodeToString(sum[:])
	return k
}

// Entry returns the entry of CALLERS_FILE for a caller with a new key.
func Entry(name string, roles []string, k Key, notBefore, notAfter time.Time) (string, error) {
	const form = `callers:
  %s:
    roles: [%s]
    keys:
      - id: %s
        sha256: %s
        not_before: %s
        not_after: %s
`
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	text := fmt.Sprintf(form, name, strings.Join(roles, ", "), k.ID, k.SHA256, at(notBefore), at(notAfter))
	_, err := parse([]byte(text))
	return text, err
}

// isKey reports whether a bearer credential is meant as an API key.
func isKey(bearer string) bool { return strings.HasPrefix(bearer, keyPrefix) }

// knownKey is a key in CALLERS_FILE.
type knownKey struct {
	sha256              [sha256.Size]byte
	notBefore, notAfter time.Time
	principal           *Principal
}

// describeKey names a key in CALLERS_FILE, for the log. It returns "" for anything else.
func (s *snapshot) describeKey(bearer string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(bearer, keyPrefix), "_")
	if !isKey(bearer) || s.keys[id] == nil {
		return ""
	}
	return "the API key " + id
}

// byKey finds the caller of an API key. It allocates only if it refuses.
func (s *snapshot) byKey(key string, now time.Time) (*Principal, *Refusal) {
	id, secret, ok := strings.Cut(key[len(keyPrefix):], "_")
	if !ok || len(secret) != secretLen {
		return nil, errRefused.because("the API key has not the form of one")
	}
	known := s.keys[id]
	if known == nil {
		return nil, errRefused.because("no caller in CALLERS_FILE has the API key")
	}
	var text [secretLen]byte
	copy(text[:], secret)
	sum := sha256.Sum256(text[:])
	switch {
	case subtle.ConstantTimeCompare(sum[:], known.sha256[:]) != 1:
		return nil, errRefused.because("the API key " + id + " came with a wrong secret")
	case now.Before(known.notBefore):
		return nil, errRefused.because("the API key " + id + " is not valid yet")
	case !now.Before(known.notAfter):
		return nil, errRefused.because("the API key " + id + " has expired")
	}
	return known.principal, nil
}
