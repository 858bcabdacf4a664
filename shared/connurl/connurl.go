// Package connurl names the usual mistakes in the URL of a server. Its errors complete a sentence that begins with the
// variable's name. They contain no part of the URL except names of parameters, because any other part may belong to a
// password that is written wrongly.
package connurl

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Param is a parameter of a URL's query, decoded.
type Param struct{ Name, Value string }

var (
	variable   = regexp.MustCompile(`^\$[A-Za-z_{(]`)
	assignment = regexp.MustCompile(`^(export )?[A-Z][A-Z0-9_]*=`)
	plainName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]*$`)
	escape     = regexp.MustCompile(`%([0-9A-Fa-f]{2})?`)
)

const quotes = "\"'`"

// CheckText returns an error if raw is no URL because of how it was written down. example is a right value.
func CheckText(raw, example string) error {
	switch {
	case raw == "":
		return errors.New("is empty: write " + example)
	case strings.Contains(quotes, raw[:1]) || strings.Contains(raw, "://") && strings.Contains(quotes, raw[len(raw)-1:]):
		return errors.New("stands in quotes: remove them (env files of Docker and systemd keep them in the value)")
	case variable.MatchString(raw):
		return errors.New("is the name of a variable ($NAME) that was not replaced by its value")
	case assignment.MatchString(raw):
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
	for _, e := range escape.FindAllString(raw, -1) {
		switch e {
		case "%":
			return errors.New("has a % that begins no escape: write %25 for a % in a password")
		case "%00":
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
		if !found || err != nil || !plainName.MatchString(name) {
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
