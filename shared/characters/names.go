package characters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twitchtv/twirp"
)

// Names are ASCII: Unicode letters that look alike would let one player pass for another.
const (
	minNameLen = 4
	maxNameLen = 20
)

// reservedWords are names that would let a player pass for the operators.
var reservedWords = []string{
	"admin", "administrator", "gamemaster", "gmaster", "moderator", "system", "server", "support", "staff", "official",
	"operator", "developer", "osirose", "root", "null", "undefined", "everyone", "anonymous", "deleted",
}

type nameChecker struct {
	minLen, maxLen int
	reserved       map[string]bool
}

func newNameChecker(rules Config) nameChecker {
	c := nameChecker{minLen: max(rules.NameMin, minNameLen), maxLen: maxNameLen, reserved: map[string]bool{}}
	if rules.NameMax > 0 {
		c.maxLen = min(rules.NameMax, maxNameLen)
	}
	for _, w := range slices.Concat(reservedWords, rules.NamesReserved) {
		c.reserved[fold(w)] = true
	}
	return c
}

// check returns an error if no character may get the name.
func (c nameChecker) check(name string) twirp.Error {
	if len(name) < c.minLen || len(name) > c.maxLen {
		return errNameInvalid(fmt.Sprintf("a name has %d to %d characters", c.minLen, c.maxLen))
	}
	letter := false
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z':
			letter = true
		case '0' <= b && b <= '9':
		case b == '-' || b == '_':
			if i == 0 || i == len(name)-1 {
				return errNameInvalid("a name does not begin or end with - or _")
			}
		default:
			return errNameInvalid("a name has letters A to Z, digits, - and _ only")
		}
	}
	if !letter {
		return errNameInvalid("a name has at least one letter")
	}
	if c.reserved[fold(name)] {
		return errNameReserved
	}
	return nil
}

var foldDigits = strings.NewReplacer("-", "", "_", "", "0", "o", "1", "i", "l", "i", "3", "e", "4", "a", "5", "s", "7", "t")

// fold returns the same key for spellings that read alike: Adm1n, AD-MIN and admin.
func fold(name string) string { return foldDigits.Replace(strings.ToLower(name)) }
