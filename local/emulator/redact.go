package emulator

import (
	"regexp"
	"slices"
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// redacted replaces the value of a secret.
const redacted = "(set)"

// secretNames are parts of the names of secrets, without separators. They also hide harmless values, such as a prefix of keys.
var secretNames = []string{
	"DATABASEURL", "REDISURL", "DSN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "TOKEN", "KEY", "CREDENTIAL", "AUTHORIZATION", "HEADERS",
}

// secretValue matches a URL with a user, and settings of a password within a value.
var secretValue = regexp.MustCompile(`(?i)://[^\s]*@|(passw(or)?d|secret|token|key)["']?\s*[:=]`)

// isSecret reports whether a value must not be shown. Names may be DATABASE_URL or DatabaseUrl.
func isSecret(name, value string) bool {
	letters := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, strings.ToUpper(name))
	return slices.ContainsFunc(secretNames, func(s string) bool { return strings.Contains(letters, s) }) || secretValue.MatchString(value)
}

// newValue returns a value that may be shown. An empty value is no secret. hidden are the values that the template hides: a
// value that contains one is a secret.
func newValue(name, value string, known bool, hidden []string) Value {
	v := Value{Name: name, Value: value, Known: known}
	contained := func(h string) bool { return strings.Contains(value, h) }
	if value != "" && (isSecret(name, value) || slices.ContainsFunc(hidden, contained)) {
		v.Value, v.Secret = redacted, true
	}
	return v
}

// hiddenValues returns the values of the parameters with NoEcho.
func hiddenValues(parameters []template.Parameter) []string {
	var values []string
	for _, p := range parameters {
		if p.NoEcho && p.Value != "" {
			values = append(values, p.Value)
		}
	}
	return values
}
