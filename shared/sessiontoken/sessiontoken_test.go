package sessiontoken_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/osirose-new/database-service/shared/sessiontoken"
)

const (
	secret = "a secret of these tests"
	token  = "oSiRoSe0123456789abcdefghijkLMNO" // 32 characters, as better-auth's
)

func mac(token, secret string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(token))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func sign(token string) string { return token + "." + mac(token, secret) }

func TestToken(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		raw        string
		with       string // the token that a Verifier with the secret sees; empty: refused
		withSecret bool
		without    string // the same without a secret
	}{
		"bare":                                {raw: token, with: token, without: token},
		"cookie":                              {raw: sign(token), with: token, without: token},
		"percent-encoded cookie":              {raw: url.QueryEscape(sign(token)), with: token, without: token},
		"percent-encoded, also its dot":       {raw: strings.ReplaceAll(url.QueryEscape(sign(token)), ".", "%2E"), with: token, without: token},
		"percent-encoded in lower case":       {raw: strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(sign(token)), "%2B", "%2b"), "%3D", "%3d"), with: token, without: token},
		"a token with dots":                   {raw: sign("a.b.c"), with: "a.b.c", without: "a.b.c"},
		"a token that is not ASCII":           {raw: "é" + token, with: "é" + token, without: "é" + token},
		"signature with another secret":       {raw: token + "." + mac(token, "another"), without: token},
		"signature with an empty secret":      {raw: token + "." + mac(token, ""), without: token},
		"signature of another token":          {raw: "x" + sign(token), without: "x" + token},
		"first half of the signature":         {raw: sign(token)[:len(token)+1+20], without: token},
		"signature in hexadecimal":            {raw: token + "." + strings.Repeat("0a", 32), without: token},
		"empty signature":                     {raw: token + ".", without: token},
		"signature is not base64":             {raw: token + ".!", without: token},
		"signature without its padding":       {raw: strings.TrimRight(sign(token), "="), without: token},
		"base64 of nothing":                   {raw: token + ".====", without: token},
		"two signatures":                      {raw: sign(token) + "." + mac(token, secret), without: sign(token)},
		"a cookie signed as a whole":          {raw: sign(sign(token)), with: sign(token), without: sign(token)},
		"percent-encoded twice":               {raw: url.QueryEscape(url.QueryEscape(sign(token))), without: token},
		"empty":                               {raw: ""},
		"a dot":                               {raw: "."},
		"a signature alone":                   {raw: sign("")},
		"broken percent-encoding":             {raw: token + "%"},
		"broken percent-encoding, with a dot": {raw: token + ".%zz"},
		"percent-encoded NUL":                 {raw: token + "%00"},
		"percent-encoded NUL, signed":         {raw: url.QueryEscape(sign(token + "\x00"))},
		"percent-encoded invalid UTF-8":       {raw: token + "%ff"},
		"invalid UTF-8, signed":               {raw: url.QueryEscape(sign("\xc3\x28"))},
	} {
		for name, c := range map[string]struct{ secret, want string }{"with a secret": {secret, test.with}, "without": {"", test.without}} {
			got, ok := sessiontoken.NewVerifier(c.secret).Token(test.raw)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("%s, %s: Token(%q) = %q, %t, want %q, %t", what, name, test.raw, got, ok, c.want, c.want != "")
			}
		}
	}
	if got, ok := (sessiontoken.Verifier{}).Token(token + ".x"); got != token || !ok {
		t.Errorf("zero Verifier: Token = %q, %t, want %q", got, ok, token)
	}
}

// TestBetterAuth reads a cookie that better-auth's own library has made (better-call's serializeSignedCookie). The
// other tests only compare two copies of the rule in this repository.
func TestBetterAuth(t *testing.T) {
	t.Parallel()
	const nodeCookie = "oSiRoSe0123456789abcdefghijkLMNO.2Q%2FETTELV2msA0G8NhnvqZfV82sUrnQD%2FsE3N2mJux4%3D"
	if got, ok := sessiontoken.NewVerifier(secret).Token(nodeCookie); got != token || !ok {
		t.Errorf("Token(%q) = %q, %t, want %q", nodeCookie, got, ok, token)
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", ".", "a", "a.b", "%", "%2", "%00", "a%ff.b", token, sign(token), url.QueryEscape(sign(token)), "..", "a.%3D", sign("a.b") + "\n"} {
		f.Add(s)
	}
	v, open := sessiontoken.NewVerifier(secret), sessiontoken.NewVerifier("")
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := v.Token(raw)
		lax, laxOK := open.Token(raw)
		switch {
		case ok != (got != "") || laxOK != (lax != ""):
			t.Errorf("Token(%q) = %q, %t with a secret, %q, %t without: a token and false, or none and true", raw, got, ok, lax, laxOK)
		case ok && (!laxOK || got != lax):
			t.Errorf("Token(%q) = %q with a secret, %q, %t without", raw, got, lax, laxOK)
		case ok && utf8.ValidString(raw) && !strings.Contains(raw, "\x00") && (!utf8.ValidString(got) || strings.Contains(got, "\x00")):
			t.Errorf("Token(%q) = %q, which a text column cannot store", raw, got)
		}
		decoded := raw
		if strings.Contains(raw, "%") {
			decoded, _ = url.PathUnescape(raw)
		}
		if ok && strings.Contains(decoded, ".") {
			// Base64 can encode the same bytes differently (the last bits, line breaks). Everything else must be equal.
			signature, err := base64.StdEncoding.DecodeString(decoded[strings.LastIndexByte(decoded, '.')+1:])
			if want := mac(got, secret); err != nil || base64.StdEncoding.EncodeToString(signature) != want {
				t.Errorf("Token(%q) = %q, whose signature is %s, want refused", raw, got, want)
			}
		}
		if raw == "" || !utf8.ValidString(raw) || strings.Contains(raw, "\x00") {
			return
		}
		forms := []string{url.PathEscape(sign(raw))}
		if !strings.Contains(raw, "%") {
			forms = append(forms, sign(raw))
		}
		for _, signed := range forms {
			if got, ok := v.Token(signed); !ok || got != raw {
				t.Errorf("Token(%q) = %q, %t, want %q", signed, got, ok, raw)
			}
		}
	})
}
