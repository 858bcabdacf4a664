package callers_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/callers"
)

// TestFileErrors checks that an error says what is wrong where, and quotes no value.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	const begin, times = "callers:\n  a:\n    roles: [world]\n    keys:\n      - ", ", not_before: 2026-01-01, not_after: 2027-01-01}\n"
	hash := callers.NewKey().SHA256
	for content, want := range map[string]string{
		"":                           "it has no callers",
		"callers:\n\ta: 1\n":         "is not YAML: line 2",
		"callers: [secret]\n":        "line 1: a value of the wrong type",
		"callers:\n  a: {role: x}\n": "line 2: there is no field role here",
		"callers:\n  a: {roles: [world], subjects: [x]}\n  a: {roles: [world], subjects: [y]}\n":           "line 3: the same name again",
		"callers:\n  a: {roles: [world], subjects: [x]}\ncallers:\n  b: {roles: [world], subjects: [y]}\n": `line 3: a second "callers:"; put all callers under one`,
		"callers: {a: {roles: [world], subjects: [x]}}\n---\ncallers: {}\n":                                "has more than one YAML document",
		"callers: {a: {roles: [wrold], subjects: [x]}}\n":                                                  `caller "a": there is no role "wrold"`,
		"callers: {a: {subjects: [x]}}\n":                                                                  `caller "a" has no roles`,
		"callers: {a: {roles: [world]}}\n":                                                                 `caller "a" has no certificates, subjects, aws or keys`,
		"callers: {a@b: {roles: [world], subjects: [x]}}\n":                                                `caller "a@b": its name must have up to 64 letters, digits and _.-`,
		"callers: {a: {roles: [world], subjects: [x]}, b: {roles: [web], subjects: [x]}}\n":                `caller "b": subjects: caller "a" has number 1, too`,
		"callers: {a: {roles: [world], aws: [x]}}\n":                                                       `caller "a": aws: number 1 is empty or has not the form of one`,
		"callers: {a: {roles: [r], subjects: [x]}}\nroles: {r: [GetUsers]}\n":                              `role "r": there is no right "GetUsers"`,
		"callers: {a: {roles: [world], subjects: [x]}}\nroles: {world: [GetUser]}\n":                       `role "world": its name must be new, and have up to 64 letters, digits and _.-`,
		begin + "{id: A, sha256: " + hash + times:                                                          `caller "a": key number 1: its id must have up to 64 lower-case letters and digits`,
		begin + "{id: k, sha256: secret" + times:                                                           `caller "a": key k: its sha256 must have 64 hexadecimal digits`,
		begin + "{id: k, sha256: " + hash + "}\n":                                                          `caller "a": key k: not_before and not_after must be times, in this order`,
		begin + "{id: k, sha256: " + hash + ", not_before: soon, not_after: 2027-01-01}\n":                 "line 5: a value of the wrong type",
	} {
		if _, err := callers.Parse([]byte(content)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}
