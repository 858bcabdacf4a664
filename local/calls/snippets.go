package calls

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// Targets are the URLs to which the commands of Snippets send.
type Targets struct {
	Twirp string // http://127.0.0.1:50052; empty: no curl
	GRPC  string // http://127.0.0.1:50052, https with TLS; empty: no grpcurl
}

// Snippets are texts to copy. A text that is not offered is empty.
type Snippets struct {
	Curl, GRPCurl string // commands of a POSIX shell
	// Event is the event that Lambda gets from an HTTP API of API Gateway, with example values for all that the request does not say.
	Event string
}

// event has the form of scripts/events, with names for what differs. It is not JSON, because $BODY brings its quotes.
//
//go:embed event.json.txt
var event string

var errNoJSON = errors.New("the request is not JSON, so there is nothing to copy")

// SnippetsOf returns the texts for a JSON request of an rpc, for example of UserService/GetUser.
func SnippetsOf(rpc string, body []byte, to Targets) (Snippets, error) {
	m, err := find(rpc)
	if err != nil {
		return Snippets{}, err
	}
	var tight bytes.Buffer
	if err := json.Compact(&tight, body); err != nil {
		return Snippets{}, errNoJSON
	}
	text := tight.String()
	s := Snippets{Event: eventOf(m, text)}
	if to.Twirp != "" {
		s.Curl = to.curl(m, text)
	}
	if to.GRPC != "" {
		s.GRPCurl = to.grpcurl(m, text)
	}
	return s, nil
}

func (to Targets) curl(m method, text string) string {
	url := quote(strings.TrimSuffix(to.Twirp, "/") + "/twirp/" + m.path())
	return strings.Join([]string{"curl -sS " + url, "-H 'Content-Type: application/json'", "--data-raw " + quote(text)}, " \\\n  ")
}

func (to Targets) grpcurl(m method, text string) string {
	scheme, host, ok := strings.Cut(to.GRPC, "://")
	if !ok {
		scheme, host = "http", to.GRPC
	}
	command := "grpcurl"
	if scheme == "http" {
		command += " -plaintext"
	}
	return strings.Join([]string{command, "-d " + quote(text), quote(strings.TrimSuffix(host, "/")) + " " + m.path()}, " \\\n  ")
}

// quote returns text as one word of a shell. Within single quotes only the quote has a meaning.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// eventOf replaces the names in one pass, so that a name in the body stays as it is.
func eventOf(m method, text string) string {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // never fails for text
	return strings.NewReplacer(
		"$SERVICE", m.Service, "$METHOD", m.Method, "$LENGTH", strconv.Itoa(len(text)), "$BODY", strings.TrimSpace(body.String()),
	).Replace(event)
}
