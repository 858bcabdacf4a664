package emulator

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

const (
	runtimePrefix  = "/_runtime/"
	runtimeVersion = "/2018-06-01/runtime/"
)

// serveRuntime is the Runtime API of one process, at /_runtime/{function}/{number}/2018-06-01/runtime/. That each process
// has its own makes the answer of one that was stopped nobody's answer.
func (h *host) serveRuntime(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		runtimeError(w, http.StatusForbidden, "AccessDenied", "the Runtime API is for processes of this machine")
		return
	}
	key, operation, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, runtimePrefix), runtimeVersion)
	p := h.process(key)
	if p == nil {
		runtimeError(w, http.StatusForbidden, "InvalidStateTransition", "there is no process %s", key)
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

// fromThisMachine keeps others from taking a function's events, where the port is open to a network.
func fromThisMachine(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return remote.Addr().Unmap().IsLoopback() || ok && local.AddrPort().Addr().Unmap() == remote.Addr().Unmap()
}

func runtimeError(w http.ResponseWriter, status int, kind, format string, args ...any) {
	writeJSON(w, status, failure{kind, fmt.Sprintf(format, args...)})
}

func runtimeAccepted(w http.ResponseWriter) {
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

// serveNext waits for work as long as it takes.
func (p *process) serveNext(w http.ResponseWriter, r *http.Request) {
	if !p.idle() {
		runtimeError(w, http.StatusForbidden, "InvalidStateTransition",
			"State transition from Running to Ready failed for runtime. Error: the invocation has no answer yet")
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
	h.Set("Content-Length", strconv.Itoa(len(w.payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", w.requestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(w.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", w.arn)
	h.Set("Lambda-Runtime-Trace-Id", newTrace())
	if text, err := base64.StdEncoding.DecodeString(w.clientContext); err == nil && len(text) > 0 {
		h.Set("Lambda-Runtime-Client-Context", string(text))
	}
	_, _ = to.Write(w.payload) // a process that has gone is noticed
}

// claimed returns the invocation that a process answers, or tells it why it may not.
func (p *process) claimed(w http.ResponseWriter, id, state string) *work {
	work, err := p.claim(id)
	switch {
	case err == nil:
		return work
	case errors.Is(err, errAnswered):
		runtimeError(w, http.StatusForbidden, "InvalidStateTransition",
			"State transition from ResponseSent to %s failed for runtime. Error: the invocation has its answer", state)
	default:
		runtimeError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
	return nil
}

func (p *process) serveResponse(w http.ResponseWriter, r *http.Request, id string) {
	work := p.claimed(w, id, "InvocationResponse")
	if work == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	switch {
	case err != nil: // the process ends, or its time does
		runtimeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	case len(body) > maxResponse:
		work.result <- tooLarge()
		_, _ = io.Copy(io.Discard, r.Body) // so that it reads why, while it writes
		runtimeError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			"Exceeded maximum allowed payload size (%d bytes).", maxResponse)
		return
	}
	work.result <- outcome{payload: body}
	runtimeAccepted(w)
}

func (p *process) serveError(w http.ResponseWriter, r *http.Request, id string) {
	work := p.claimed(w, id, "InvocationErrorResponse")
	if work == nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		runtimeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	work.result <- outcome{payload: body, failed: true}
	runtimeAccepted(w)
}

// serveInitError keeps what the first invocation is answered with when the process ends.
func (p *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		runtimeError(w, http.StatusBadRequest, "TruncatedHTTPRequest", "HTTP request detected as truncated")
		return
	}
	p.mu.Lock()
	p.refusal = body
	p.mu.Unlock()
	runtimeAccepted(w)
}
