package rpcserver

import "strings"

const (
	maxName   = 24 // a session token is longer
	maxSuffix = 8
)

// product returns the first product of a User-Agent, name/version, for the log. The header may contain anything, for
// example a token or an address by mistake, so product returns only text in the form of a product. A name has digits
// only at the ends of its words, unlike a random string. A version has at most three numbers, unlike an IP address.
func product(agent string) string {
	agent, _, _ = strings.Cut(agent, " ")
	name, version, versioned := strings.Cut(agent, "/")
	if len(name) > maxName || !isName(name) || versioned && !isVersion(version) {
		return ""
	}
	return agent
}

// isName reports whether s consists of words that begin with a letter, with - or _ between them.
func isName(s string) bool {
	letters, digits := 0, 0 // of the current word
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z' && digits == 0:
			letters++
		case (c >= '0' && c <= '9' || c == '+') && letters > 0 && digits < 2: // Boto3, grpc-c++
			digits++
		case (c == '-' || c == '_') && letters > 0:
			letters, digits = 0, 0
		default:
			return false
		}
	}
	return letters > 0
}

// isVersion reports whether s is one to three numbers, with or without a release name after them.
func isVersion(s string) bool {
	numbers, suffix, ok := strings.Cut(s, "-")
	if ok && (len(suffix) > maxSuffix || !isName(suffix)) || strings.Count(numbers, ".") > 2 {
		return false
	}
	for n := range strings.SplitSeq(numbers, ".") {
		if len(n) < 1 || len(n) > 5 || strings.Trim(n, "0123456789") != "" {
			return false
		}
	}
	return true
}
