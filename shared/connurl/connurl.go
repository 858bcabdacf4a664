// Package connurl names the usual mistakes in the URL of a server. Its errors complete a sentence that begins with the
// variable's name. They contain no part of the URL except names of parameters, because any other part may belong to a
// password that is written wrongly.
package connurl

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Param is a parameter of a URL's query, decoded.
type Param struct{ Name, Value string }

// This package compiles no regular expression: a cold start would wait for it.

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// isName reports whether s is a letter and then letters, digits and characters of others.
func isName(s, others string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return true
}

// isVariable reports whether raw begins with $NAME, ${ or $(.
func isVariable(raw string) bool {
	return len(raw) > 1 && raw[0] == '$' && (isLetter(raw[1]) || strings.IndexByte("_{(", raw[1]) >= 0)
}

// isAssignment reports whether raw begins with NAME=, as in a file of variables.
func isAssignment(raw string) bool {
	name, _, found := strings.Cut(strings.TrimPrefix(raw, "export "), "=")
	return found && isName(name, "_") && strings.ToUpper(name) == name
}

const quotes = "\"'`"

// CheckText returns an error if raw is no URL because of how it was written down. example is a right value.
func CheckText(raw, example string) error {
	switch {
	case raw == "":
		return errors.New("is empty: write " + example)
	case strings.Contains(quotes, raw[:1]) || strings.Contains(raw, "://") && strings.Contains(quotes, raw[len(raw)-1:]):
		return errors.New("stands in quotes: remove them (env files of Docker and systemd keep them in the value)")
	case isVariable(raw):
		return errors.New("is the name of a variable ($NAME) that was not replaced by its value")
	case isAssignment(raw):
		return errors.New("begins with a variable's name and =: write only the value, " + example)
	case strings.HasPrefix(raw, "psql ") || strings.HasPrefix(raw, "redis-cli ") || strings.HasPrefix(raw, "valkey-cli "):
		return errors.New("is a command: write only the URL, " + example)
	case strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("has a line break or another control character in it")
	}
	return nil
}

// CheckEscapes returns an error if a % in raw does not begin an escape, or if an escape is a NUL.
func CheckEscapes(raw string) error {
	for i := range len(raw) {
		switch {
		case raw[i] != '%':
		case i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]):
			return errors.New("has a % that begins no escape: write %25 for a % in a password")
		case raw[i:i+3] == "%00":
			return errors.New("has a NUL (%00) in it")
		}
	}
	return nil
}

// CheckHost returns an error for a wrong host:port. The host may be empty.
func CheckHost(hostPort string) error {
	host, port, found := strings.Cut(hostPort, ":")
	if strings.HasPrefix(hostPort, "[") {
		end := strings.IndexByte(hostPort, ']')
		if end < 0 {
			return errors.New("has a [ without ] in its host: write an IPv6 address as [::1]")
		}
		host, port, found = hostPort[:end+1], strings.TrimPrefix(hostPort[end+1:], ":"), end+1 < len(hostPort)
	}
	switch {
	case strings.Contains(port, ":"):
		return errors.New("has several colons in its host and port: write an IPv6 address as [::1]:port, and put @ between password and host")
	case strings.ContainsAny(host, `<>{}|\^ "`):
		return errors.New("has a character in its host that no host has: replace the placeholder, or escape it if it belongs to the password")
	case found && port != "":
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("has a port that is not a number from 1 to 65535 (is @ missing between password and host?)")
		}
	}
	return nil
}

// Params splits a query into its parameters.
func Params(query string) ([]Param, error) {
	var all []Param
	if query == "" {
		return nil, nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(value)
		if !found || err != nil || !isName(name, "_.") {
			return nil, errors.New("has something behind the ? that is not name=value: write %3F for a ? in a password, and %26 for an & in a value")
		}
		all = append(all, Param{name, decoded})
	}
	return all, nil
}

// Query is the reverse of [Params].
func Query(params []Param) string {
	pairs := make([]string, len(params))
	for i, p := range params {
		pairs[i] = p.Name + "=" + strings.ReplaceAll(url.QueryEscape(p.Value), "+", "%20")
	}
	return strings.Join(pairs, "&")
}
