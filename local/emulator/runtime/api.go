package runtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// Prefix starts the paths of the Runtime API.
const Prefix = "/_runtime/"

const apiVersion = "/2018-06-01/runtime/"

// ServeHTTP serves the Runtime API of one process, at /_runtime/{function}/{number}/2018-06-01/runtime/. Each process has its
// own paths, so a process that was stopped cannot answer for the next one.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		writeError(w, http.StatusForbidden, "AccessDenied", "the Runtime API is only for processes of this machine")
		return
	}
	key, operation, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), apiVersion)
	p := h.process(key)
	if p == nil {
		writeError(w, http.StatusForbidden, "InvalidStateTransition", "there is no process %s", key)
		return
	}
	rest, isInvocation := strings.CutPrefix(operation, "invocation/")
	id, action, _ := strings.Cut(rest, "/")
	switch {
	case r.Method == http.MethodGet && operation == "invocation/next":
		p.serveNext(w, r)
	case r.Method == http.MethodPost && isInvocation && action == "response":
		p.serveResponse(w, r, id)
	case r.Method == http.MethodPost && isInvocation && action == "error":
		p.serveError(w, r, id)
	case r.Method == http.MethodPost && operation == "init/error":
		p.serveInitError(w, r)
	default:
		http.Error(w, "404 page not found", http.StatusNotFound)
	}
}

// fromThisMachine keeps other machines from taking a function's events, if the port is open to a network.
func fromThisMachine(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return remote.Addr().Unmap().IsLoopback() || ok && local.AddrPort().Addr().Unmap() == remote.Addr().Unmap()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the process has ended
}

func writeError(w http.ResponseWriter, status int, kind, format string, args ...any) {
	writeJSON(w, status, failure{kind, fmt.Sprintf(format, args...)})
}

func writeAccepted(w http.ResponseWriter) {
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// serveNext waits for work without a time limit.
func (p *process) serveNext(w http.ResponseWriter, r *http.Request) {
	if !p.idle() {
		writeError(w, http.StatusForbidden, "InvalidStateTransition",
			"State transition from Running to Ready failed for runtime. Error: the invocation has no response yet")
		return
	}
	select {
	case work := <-p.work:
		work.write(w)
	case <-p.gone:
	case <-r.Context().Done():
	}
}

func (w *work) write(to http.ResponseWriter) {
	h := to.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(w.Payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", w.RequestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(w.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", w.arn)
	h.Set("Lambda-Runtime-Trace-Id", newTrace())
	if text, err := base64.StdEncoding.DecodeString(w.ClientContext); err == nil && len(text) > 0 {
		h.Set("Lambda-Runtime-Client-Context", string(text))
	}
	_, _ = to.Write(w.Payload) // await notices a process that has ended
}

// claimed returns the invocation that a process answers. If it may not, claimed writes the reason and returns nil.
func (p *process) claimed(w http.ResponseWriter, id, state string) *work {
	work, err := p.claim(id)
	switch {
	case err == nil:
		return work
	case errors.Is(err, errAnswered):
		writeError(w, http.StatusForbidden, "InvalidStateTransition",
			"State transition from ResponseSent to %s failed for runtime. Error: the invocation already has its response", state)
	default:
		writeError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
	return nil
}

func (p *process) serveResponse(w http.ResponseWriter, r *http.Request, id string) {
	work := p.claimed(w, id, "InvocationResponse")
	if work == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, template.MaxResponse+1))
	switch {
	case err != nil: // the process has ended, or will be killed at its timeout
		writeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	case len(body) > template.MaxResponse:
		work.result <- tooLarge()
		_, _ = io.Copy(io.Discard, r.Body) // so that the process reads the refusal while it writes
		writeError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			"Exceeded maximum allowed payload size (%d bytes).", template.MaxResponse)
		return
	}
	work.result <- Result{Payload: body}
	writeAccepted(w)
}

func (p *process) serveError(w http.ResponseWriter, r *http.Request, id string) {
	work := p.claimed(w, id, "InvocationErrorResponse")
	if work == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, template.MaxResponse))
	if err != nil {
		writeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	work.result <- Result{Payload: body, Failed: true}
	writeAccepted(w)
}

// serveInitError keeps the document that becomes the result of the first invocation when the process ends.
func (p *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, template.MaxResponse))
	if err != nil {
		writeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	p.mu.Lock()
	p.initError = body
	p.mu.Unlock()
	writeAccepted(w)
}
