package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// Made-up names.
const (
	apiID  = "emulator00"
	urlID  = "emulator000000000000000000000000"
	region = "us-east-1"
)

// Limits in bytes.
const (
	maxAPIBody   = 10 << 20
	maxALB       = 1 << 20
	maxAPIHeader = 10240
	maxALBHeader = 64 << 10
)

// request is a request as a gateway sees it.
type request struct {
	kind       Kind
	iam        bool // the gateway requires a signature
	route      Route
	parameters map[string]string
	stage      string
	method     string
	path       string // escaped, without stage
	query      string
	header     http.Header // with Host and what gateways add, without what they remove
	body       []byte
	protocol   string
	sourceIP   string
	at         time.Time

	requestID, extendedID, invocationID string
}

// read reads the request up to the gateway's limits. If it refuses, the request is complete enough for refuse.
func (h *handler) read(kind Kind, path string, w http.ResponseWriter, r *http.Request) (*request, reason) {
	req := &request{
		kind: kind, iam: h.IAM[kind], stage: h.Stages[kind], method: r.Method, query: r.URL.RawQuery,
		protocol: r.Proto, sourceIP: r.RemoteAddr, at: h.Now().UTC(), extendedID: newAPIID(), invocationID: uuid.NewString(),
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		req.sourceIP = host
	}
	req.setNames()
	req.path = req.unstaged(path)
	var ok bool
	if req.route, req.parameters, ok = h.find(kind, r.Method, req.path); !ok {
		return req, noRoute
	}
	if (kind == ALB || kind == ALBMulti) && r.Header.Get("Upgrade") != "" {
		return req, badRequest
	}
	if req.headerTooLarge(r) {
		return req, headerTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kind.maxBody()))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return req, bodyTooLarge
	}
	if err != nil {
		return req, badRequest // the client left, or sent what is not HTTP
	}
	req.body = body
	req.setHeader(r)
	return req, none
}

// setNames sets the stage, and the id that this kind of gateway calls the request id.
func (req *request) setNames() {
	req.requestID = req.invocationID
	switch req.kind {
	case HTTPAPI:
		req.requestID = req.extendedID
		if req.stage == "" {
			req.stage = "$default"
		}
	case RESTAPI:
		req.requestID = uuid.NewString()
		if req.stage == "" {
			req.stage = "Prod"
		}
	case FunctionURL:
		req.stage = "$default"
	}
}

// unstaged removes the name of the stage from the start of a path. It is optional, because the emulator serves one stage.
func (req *request) unstaged(path string) string {
	if req.stage == "" || req.stage == "$default" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "/"+req.stage); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return path
}

// staged returns the path with the name of the stage, if there is one.
func (req *request) staged(path string) string {
	if req.stage == "" || req.stage == "$default" {
		return path
	}
	return "/" + req.stage + path
}

func (k Kind) maxBody() int64 {
	switch k {
	case ALB, ALBMulti:
		return maxALB
	case FunctionURL:
		return template.MaxRequest
	}
	return maxAPIBody
}

func (k Kind) maxPayload() int {
	if k == ALB || k == ALBMulti {
		return maxALB
	}
	return template.MaxResponse
}

// headerTooLarge counts as each gateway does: the HTTP API counts the request line and the values, the REST API the values,
// the load balancer everything.
func (req *request) headerTooLarge(r *http.Request) bool {
	values, names := len(r.Host), len("Host")
	for name, list := range r.Header {
		if name == kindHeader {
			continue
		}
		for _, value := range list {
			values += len(value)
			names += len(name)
		}
	}
	line := len(req.method + " " + req.path + " " + req.protocol)
	if req.query != "" {
		line += len("?" + req.query)
	}
	switch req.kind {
	case HTTPAPI:
		return line+values > maxAPIHeader
	case RESTAPI:
		return values > maxAPIHeader
	case ALB, ALBMulti:
		return line+names+values > maxALBHeader
	}
	return false
}

// setHeader copies the client's header without the fields of the connection, and adds those of the gateways.
func (req *request) setHeader(r *http.Request) {
	h := r.Header.Clone()
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", kindHeader} {
		h.Del(name)
	}
	h.Set("Host", r.Host)
	h.Set("X-Forwarded-For", strings.Join(append(h.Values("X-Forwarded-For"), req.sourceIP), ", "))
	h.Set("X-Forwarded-Port", "443")
	h.Set("X-Forwarded-Proto", "https")
	h.Set("X-Amzn-Trace-Id", req.trace(h.Get("X-Amzn-Trace-Id")))
	switch {
	case req.kind == RESTAPI:
		h.Del("Content-Length")
	case req.kind == HTTPAPI, len(req.body) > 0:
		h.Set("Content-Length", fmt.Sprint(len(req.body)))
	}
	req.header = h
}

// trace returns the trace header. API Gateway continues the client's trace; the load balancer puts its own before it.
func (req *request) trace(client string) string {
	id := fmt.Sprintf("1-%08x-%s", req.at.Unix(), randomHex(12))
	switch {
	case !strings.Contains(client, "Root="):
		return "Root=" + id
	case req.kind == ALB, req.kind == ALBMulti:
		return "Self=" + id + ";" + client
	}
	return client
}

// event returns the document that the function gets.
func (req *request) event(binaryTypes []string) []byte {
	switch req.kind {
	case RESTAPI:
		return req.eventV1(binaryTypes)
	case ALB, ALBMulti:
		return req.eventALB()
	}
	return req.eventV2()
}

// text returns the body, and whether it is base64.
func (req *request) text(binary bool) (string, bool) {
	if len(req.body) == 0 {
		return "", false
	}
	if binary {
		return base64.StdEncoding.EncodeToString(req.body), true
	}
	return string(req.body), false // JSON loses what is not UTF-8, on AWS too
}

// binary reports whether every gateway except the REST API takes the body for binary. Few types are text; a body without a
// type is binary.
func (req *request) binary() bool {
	t := mediaType(req.header.Get("Content-Type"))
	if req.header.Get("Content-Encoding") != "" && req.kind != HTTPAPI && req.kind != FunctionURL {
		return true
	}
	switch t {
	case "application/json", "application/javascript", "application/xml":
		return false
	}
	return !strings.HasPrefix(t, "text/")
}

// mediaType returns the first media type of an Accept or Content-Type header, without its parameters.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ",")
	value, _, _ = strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(value))
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newAPIID returns a request id in the HTTP API's form.
func newAPIID() string {
	b := make([]byte, 11)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}
