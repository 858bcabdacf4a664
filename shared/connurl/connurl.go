// Package connurl names the usual mistakes in the URL of a server. Its errors complete a sentence that begins with the
// variable's name. They contain no part of the URL except names of parameters, because any other part may belong to a
// password that is written wrongly.
package connurl

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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

// quotes also has those that editors and chats put in place of the plain ones.
const quotes = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"

func isQuote(r rune) bool { return strings.ContainsRune(quotes, r) }

// isInvisible reports whether r shows nothing: a control character, a byte order mark, a space that is not the plain one.
func isInvisible(r rune) bool {
	return r != ' ' && unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// isCommand reports whether raw begins with a program for a terminal.
func isCommand(raw string) bool {
	program, _, found := strings.Cut(raw, " ")
	return found && slices.Contains([]string{"psql", "pgcli", "pg_dump", "pg_restore", "redis-cli", "valkey-cli"}, program)
}

// isList reports whether raw is a list NAME=value;NAME=value, as ODBC and .NET have it.
func isList(raw string) bool {
	if strings.Contains(raw, "://") || !strings.Contains(raw, ";") {
		return false
	}
	for part := range strings.SplitSeq(strings.TrimRight(raw, "; "), ";") {
		name, value, found := strings.Cut(part, "=")
		if !found || !isName(strings.TrimSpace(name), " _:") {
			return false
		}
		if _, next, more := strings.Cut(value, " "); more && strings.Contains(next, "=") { // host=h password=a;b=c
			return false
		}
	}
	return true
}

// inFront returns the scheme of the first URL in raw if something stands in front of it.
func inFront(raw string) string {
	front, _, found := strings.Cut(raw, "://")
	scheme := front[strings.LastIndexFunc(front, func(r rune) bool { return r >= 0x80 || !isLetter(byte(r)) })+1:]
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql", "redis", "rediss", "valkey", "valkeys":
		if front = strings.TrimSuffix(front, scheme); found && front != "" && !strings.ContainsAny(front[len(front)-1:], ":+") {
			return strings.ToLower(scheme)
		}
	}
	return ""
}

// CheckText returns an error if raw is no URL because of how it was written down. example is a right value.
func CheckText(raw, example string) error {
	first, _ := utf8.DecodeRuneInString(raw)
	last, _ := utf8.DecodeLastRuneInString(raw)
	front := inFront(raw)
	switch {
	case raw == "":
		return errors.New("is empty: write " + example)
	case strings.ContainsFunc(raw, unicode.IsControl):
		return errors.New("has a line break or another control character in it")
	case strings.ContainsFunc(raw, isInvisible):
		return errors.New("has a character in it that is not visible, for example a byte order mark: write it anew")
	case isQuote(first):
		return errors.New("stands in quotes: remove them (env files of Docker and systemd keep them in the value)")
	case isCommand(raw):
		return errors.New("is a command: write only the URL, " + example)
	case isList(raw):
		return errors.New("is a list of names and values, as ODBC and .NET have it: write " + example)
	case isAssignment(raw):
		return errors.New("begins with a variable's name and =: write only the value, " + example)
	case front != "":
		return errors.New("has something in front of " + front + "://: write only the URL, " + example)
	case isVariable(raw):
		return errors.New("is the name of a variable ($NAME) that was not replaced by its value")
	case strings.Contains(raw, "://") && isQuote(last):
		return errors.New("stands in quotes: remove them (env files of Docker and systemd keep them in the value)")
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
		if address, err := url.PathUnescape(host[1:end]); err != nil || !isIPv6(address) {
			return errors.New("has no IPv6 address between [ and ]: write a name or an IPv4 address without them")
		}
	}
	switch {
	case strings.Contains(port, ":"):
		return errors.New("has several colons in its host and port: write an IPv6 address as [::1]:port, and put @ between password and host")
	case !isHost(host):
		return errors.New("has a character in its host that no host has: replace the placeholder, or escape it if it belongs to the password")
	case found && port != "" && !isPort(port):
		return errors.New("has a port that is not a number from 1 to 65535 (is @ missing between password and host?)")
	}
	return nil
}

func isIPv6(s string) bool {
	address, err := netip.ParseAddr(s)
	return err == nil && address.Is6()
}

// isHost allows a name, an address, and a socket's folder as it stands in a URL (%2Ftmp).
func isHost(host string) bool {
	decoded, err := url.PathUnescape(host)
	return err == nil && !strings.ContainsAny(host, `<>{}|\^ "'`+"`$=&;()*!,") && !strings.ContainsFunc(decoded, unicode.IsControl)
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// Params splits a query into its parameters.
func Params(query string) ([]Param, error) {
	var all []Param
	if query == "" {
		return nil, nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(pair, "=")
		if _, rest, another := strings.Cut(value, ";"); another {
			if name, _, is := strings.Cut(rest, "="); is && isName(name, "_.") {
				return nil, errors.New("has a ; between parameters: write & there, and %3B for a ; in a value")
			}
		}
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
