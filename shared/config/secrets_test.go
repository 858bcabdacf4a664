package config_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/osirose-new/database-service/shared/config"
)

// TestSecretFile reads a secret from a file as editors write it.
func TestSecretFile(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"one": "one", "one\n": "one\n", "\ufeffone\r\n": "one\r\n", "": ""} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.Secret(environment(map[string]string{"REDIS_URL_FILE": file}), "REDIS_URL")
		if err != nil || got != want {
			t.Errorf("Secret of a file with %q = %q, %v, want %q", content, got, err, want)
		}
	}
}

// TestAuthSecrets checks with which secrets better-auth may have signed a session's cookie.
func TestAuthSecrets(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		environment        map[string]string
		accepted, rejected []string
	}{
		"one secret":                {map[string]string{"BETTER_AUTH_SECRET": "one"}, []string{"one"}, []string{"two", "one\n", ""}},
		"its alias":                 {map[string]string{"AUTH_SECRET": "one"}, []string{"one"}, []string{"two"}},
		"the alias beside it":       {map[string]string{"BETTER_AUTH_SECRET": "one", "AUTH_SECRET": "two"}, []string{"one"}, []string{"two"}},
		"a newline at the end":      {map[string]string{"BETTER_AUTH_SECRET": "one\n"}, []string{"one", "one\n"}, []string{"on"}},
		"a newline of Windows":      {map[string]string{"AUTH_SECRET": "one\r\n"}, []string{"one", "one\r\n"}, []string{"one\r"}},
		"a list":                    {map[string]string{"BETTER_AUTH_SECRETS": "2:new,1:old"}, []string{"new", "old"}, []string{"2:new", "1:old", "one"}},
		"a list with blanks":        {map[string]string{"BETTER_AUTH_SECRETS": " 2: new , 1:old:x\n"}, []string{"new", "old:x"}, []string{" new", "old"}},
		"a list beside one secret":  {map[string]string{"BETTER_AUTH_SECRETS": "1:new", "BETTER_AUTH_SECRET": "one"}, []string{"new", "one"}, []string{"two"}},
		"a list beside the alias":   {map[string]string{"BETTER_AUTH_SECRETS": "1:new", "AUTH_SECRET": "one"}, []string{"new", "one"}, []string{"two"}},
		"an empty list, one secret": {map[string]string{"BETTER_AUTH_SECRETS": "", "BETTER_AUTH_SECRET": "one"}, []string{"one"}, []string{""}},
	} {
		c, err := config.Read(environment(test.environment))
		if err != nil {
			t.Errorf("%s: Read: %v", what, err)
		}
		signed := func(secret string) bool {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte("token"))
			_, ok := c.Sessions.Verifier.Token("token." + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			return ok
		}
		for _, secret := range test.accepted {
			if !signed(secret) {
				t.Errorf("%s: a signature by %q is refused", what, secret)
			}
		}
		for _, secret := range test.rejected {
			if signed(secret) {
				t.Errorf("%s: a signature by %q is accepted", what, secret)
			}
		}
	}
}
