// Package jscase changes the case of letters as JavaScript does, because better-auth does.
package jscase

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Lower returns s in lower case as better-auth stores usernames and e-mails: by JavaScript's toLowerCase, whose
// mappings can depend on the context.
func Lower(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

// Upper is the same for JavaScript's toUpperCase, which some web applications prefer for usernames.
func Upper(s string) string {
	if ascii(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
