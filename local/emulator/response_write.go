package emulator

import (
	"net/http"
	"strconv"
	"strings"
)

// write sends an answer, with the ids that the gateway adds.
func (a *arrival) write(r answer, w http.ResponseWriter) {
	h := w.Header()
	for name, values := range r.header {
		switch {
		case remapped(name) && (a.kind == RESTAPI || a.kind == FunctionURL):
			name = "X-Amzn-Remapped-" + name
		case perConnection(name):
			continue
		}
		h[http.CanonicalHeaderKey(name)] = values
	}
	switch a.kind {
	case HTTPAPI:
		h.Set("Apigw-Requestid", a.requestID)
	case RESTAPI:
		h.Set("X-Amzn-Requestid", a.requestID)
		h.Set("X-Amz-Apigw-Id", a.extendedID)
	case FunctionURL:
		h.Set("X-Amzn-Requestid", a.requestID)
	}
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		r.body = nil
	} else {
		h.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // the client may have gone
}

// remapped are the headers of a function's answer that a REST API and a function URL give another name.
func remapped(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Connection", "Content-Length", "Content-Md5", "Date", "Host", "Server", "Trailer", "Upgrade", "User-Agent", "Www-Authenticate":
		return true
	}
	return false
}

// perConnection are the headers that a gateway makes itself.
func perConnection(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Content-Length", "Date", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// validHeader tells whether a header can be sent: its name is a token, and its value one line.
func validHeader(name, value string) bool {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }) {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
