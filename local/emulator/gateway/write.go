package gateway

import (
	"net/http"
	"strconv"
)

// write sends r with the ids that the gateway adds.
func (req *request) write(r response, w http.ResponseWriter) {
	h := w.Header()
	for name, values := range r.header {
		switch {
		case remapped(name) && (req.kind == RESTAPI || req.kind == FunctionURL):
			name = "X-Amzn-Remapped-" + name
		case perConnection(name):
			continue
		}
		h[http.CanonicalHeaderKey(name)] = values
	}
	switch req.kind {
	case HTTPAPI:
		h.Set("Apigw-Requestid", req.requestID)
	case RESTAPI:
		h.Set("X-Amzn-Requestid", req.requestID)
		h.Set("X-Amz-Apigw-Id", req.extendedID)
	case FunctionURL:
		h.Set("X-Amzn-Requestid", req.requestID)
	}
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		r.body = nil
	} else {
		h.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // fails only if the client has left
}

// remapped reports whether a REST API and a function URL rename a header of the function's response.
func remapped(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Connection", "Content-Length", "Content-Md5", "Date", "Host", "Server", "Trailer", "Upgrade", "User-Agent", "Www-Authenticate":
		return true
	}
	return false
}

// perConnection reports whether the gateway sets a header itself.
func perConnection(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Content-Length", "Date", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}
