package rpcserver

import (
	"context"
	"strings"
)

// Origin is what the platform says of a request, and the request itself cannot.
type Origin struct {
	// RequestID is an id that the platform gave the request and logs itself; empty: it gets a number of this process.
	RequestID string
	// Caller returns who asked, where somebody has checked that: a role, the name in a certificate. It goes into the log, so
	// it must be no e-mail address, and it is asked for at the end of the request. It may be nil.
	Caller func() string
}

type originKey struct{}

// WithOrigin has a request with the context returned come from there.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

const maxProduct = 40

// product is the first product of a User-Agent, name/version. Anybody may send anything there, so what does not look like one
// is nothing, and so is what could be an address.
func product(agent string) string {
	agent, _, _ = strings.Cut(agent, " ")
	name, version, _ := strings.Cut(agent, "/")
	if len(agent) > maxProduct || !isWord(name, false) || !isWord(version, true) {
		return ""
	}
	return agent
}

// isWord tells whether s has letters, digits and - only; in a version there may be dots, too.
func isWord(s string, version bool) bool {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || version && c == '.' {
			continue
		}
		return false
	}
	return true
}
