// Package characterrules has what the services that change characters share: which names a character may have, and which characters
// are there.
package characterrules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

// Names are ASCII: Unicode letters that look alike would let one player pass for another.
const (
	minNameLen = 4
	// MaxNameLen is the longest name in bytes.
	MaxNameLen = 20
)

// reservedWords are names that would let a player pass for the operators.
var reservedWords = []string{
	"admin", "administrator", "gamemaster", "gmaster", "moderator", "system", "server", "support", "staff", "official",
	"operator", "developer", "osirose", "root", "null", "undefined", "everyone", "anonymous", "deleted",
}

// Names checks names.
type Names struct {
	minLen, maxLen int
	reserved       map[string]bool
}

// NewNames returns rules that can only be stricter than the database's CHECK. The lengths are in bytes, 0: 4 and 20. reserved
// are words besides the built-in ones.
func NewNames(minLen, maxLen int, reserved []string) Names {
	c := Names{minLen: max(minLen, minNameLen), maxLen: MaxNameLen, reserved: map[string]bool{}}
	if maxLen > 0 {
		c.maxLen = min(maxLen, MaxNameLen)
	}
	for _, w := range slices.Concat(reservedWords, reserved) {
		c.reserved[fold(w)] = true
	}
	return c
}

// Check returns an error if no character may get the name. field is the request's.
func (c Names) Check(field, name string) twirp.Error {
	if err := c.check(name); err != nil {
		return err.WithMeta("argument", field)
	}
	return nil
}

func (c Names) check(name string) twirp.Error {
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

func errNameInvalid(msg string) twirp.Error {
	return rpcserver.Error(twirp.InvalidArgument, "NAME_INVALID", msg)
}

var errNameReserved = rpcserver.Error(twirp.InvalidArgument, "NAME_RESERVED", "the name is reserved")
