package lambdahttp

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/twitchtv/twirp"

	"github.com/osirose-new/database-service/shared/rpcserver"
)

var (
	errBody     = rpcserver.Error(twirp.Malformed, "BODY", "the body is not base64, as the event says")
	errInternal = rpcserver.Error(twirp.Internal, "INTERNAL", "internal error")
	errTooLarge = rpcserver.Error(twirp.ResourceExhausted, "RESPONSE_TOO_LARGE", "the response is larger than the gateway takes")
)

// maxResponse is the largest response that Lambda takes: 6 MiB. (It takes 100 bytes more, which are left unused.)
const maxResponse = 6 << 20

// limit returns the largest encoded response in bytes. A load balancer takes 1 MB; API Gateway takes more than Lambda.
func (k kind) limit() int {
	if k == alb || k == albMulti {
		return 1_000_000
	}
	return maxResponse
}

// response implements http.ResponseWriter and http.Flusher with the semantics of net/http.
type response struct {
	head   bool        // the request is HEAD: the response has no body
	header http.Header // the handler's
	status int         // 0: nothing is written
	sent   http.Header // copied by the first WriteHeader
	body   []byte
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. The first status wins, except for informational ones.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid status %d", status)) // as net/http does
	}
	if w.status != 0 || status < 200 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if w.sent == nil {
		w.sent = http.Header{}
	}
}

// Flush implements http.Flusher. It sends nothing: Lambda gets the response as a whole.
func (w *response) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.Flush()
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// finish sets a missing Content-Type, as net/http does, and removes the body of a response to HEAD.
func (w *response) finish() {
	w.Flush()
	if _, typed := w.sent["Content-Type"]; !typed && len(w.body) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(w.body))
	}
	if w.head {
		w.body = nil
	}
}

func (w *response) reset() { *w = response{head: w.head} }

func (w *response) error(err twirp.Error) { _ = twirp.WriteError(w, err) } // writing to w does not fail

// text reports whether the body can be sent as a JSON string, without base64.
func (w *response) text() bool {
	if w.sent.Get("Content-Encoding") != "" {
		return false
	}
	t, _, _ := strings.Cut(w.sent.Get("Content-Type"), ";")
	t = strings.ToLower(strings.TrimSpace(t))
	main, sub, _ := strings.Cut(t, "/")
	switch {
	case main == "text":
	case main == "application" && (sub == "json" || sub == "javascript" || sub == "xml" || sub == "yaml"):
	case strings.HasSuffix(sub, "+json"), strings.HasSuffix(sub, "+xml"), strings.HasSuffix(sub, "+yaml"):
	default:
		return false
	}
	return utf8.Valid(w.body)
}
