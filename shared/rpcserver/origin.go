package rpcserver

import (
	"context"
	"strings"
	"time"
)

// Origin is what the platform says of a request, and the request itself cannot.
type Origin struct {
	// RequestID is an id that the platform gave the request and logs itself; empty: it gets a number of this process.
	RequestID string
	// Caller returns who asked, where somebody has checked that: a role, the name in a certificate. It goes into the log, so
	// it must be no e-mail address, and it is asked for at the end of the request. It may be nil.
	Caller func() string
	// Answer, unless it is nil, is filled in when the request has been answered. It is of one request only.
	Answer *Answer
}

// Answer is what came of a request.
type Answer struct {
	Class Class
	Took  time.Duration
}

type originKey struct{}

// WithOrigin has a request with the context returned come from there.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns what WithOrigin was told, nil if nothing.
func OriginOf(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}

const (
	maxName   = 24 // a token is longer
	maxSuffix = 8
)

// product is the first product of a User-Agent, name/version. Anybody may send anything there, a token or an address by
// mistake: what does not look like a product is nothing. So a name has no digit but at the ends of its words, where a random
// string has some, and a version has no fourth number, which an address has.
func product(agent string) string {
	agent, _, _ = strings.Cut(agent, " ")
	name, version, versioned := strings.Cut(agent, "/")
	if len(name) > maxName || !isName(name) || versioned && !isVersion(version) {
		return ""
	}
	return agent
}

// isName tells whether s is words, which begin with a letter, with - or _ between them.
func isName(s string) bool {
	letters, digits := 0, 0 // of a word
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

// isVersion tells whether s is one to three numbers, perhaps with the name of a release after them.
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
