package emulator

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
)

// Names in the account that there is not.
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

// arrival is a request as a gateway sees it.
type arrival struct {
	kind       Gateway
	route      route
	parameters map[string]string
	stage      string
	method     string
	path       string // escaped, without stage
	query      string
	header     http.Header // with Host and what gateways add, without what they take out
	body       []byte
	protocol   string
	sourceIP   string
	at         time.Time

	requestID, extendedID, invocationID string
}

// arrive reads the request up to the gateway's limits. With a refusal comes an arrival that is good enough to answer.
func (g *gateway) arrive(kind Gateway, path string, w http.ResponseWriter, r *http.Request) (*arrival, cause) {
	a := &arrival{
		kind: kind, stage: g.stage[kind], method: r.Method, query: r.URL.RawQuery,
		protocol: r.Proto, sourceIP: r.RemoteAddr, at: g.now().UTC(), extendedID: newAPIID(), invocationID: newUUID(),
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		a.sourceIP = host
	}
	a.name()
	a.path = a.unstaged(path)
	var ok bool
	if a.route, a.parameters, ok = g.find(kind, r.Method, a.path); !ok {
		return a, noRoute
	}
	if (kind == ALB || kind == ALBMulti) && r.Header.Get("Upgrade") != "" {
		return a, badRequest
	}
	if a.headerTooLarge(r) {
		return a, headerTooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kind.maxBody()))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return a, bodyTooLarge
	}
	if err != nil {
		return a, badRequest // the client went, or sent what is no HTTP
	}
	a.body = body
	a.setHeader(r)
	return a, accepted
}

// name sets what the kinds call a request id, and their stages.
func (a *arrival) name() {
	a.requestID = a.invocationID
	switch a.kind {
	case HTTPAPI:
		a.requestID = a.extendedID
		if a.stage == "" {
			a.stage = "$default"
		}
	case RESTAPI:
		a.requestID = newUUID()
		if a.stage == "" {
			a.stage = "Prod"
		}
	case FunctionURL:
		a.stage = "$default"
	}
}

// unstaged cuts the stage's name, with which a request may begin, but need not: the emulator serves one stage.
func (a *arrival) unstaged(path string) string {
	if a.stage == "" || a.stage == "$default" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "/"+a.stage); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return path
}

// staged is the path with the name of the stage, if it has one.
func (a *arrival) staged(path string) string {
	if a.stage == "" || a.stage == "$default" {
		return path
	}
	return "/" + a.stage + path
}

func (k Gateway) maxBody() int64 {
	switch k {
	case ALB, ALBMulti:
		return maxALB
	case FunctionURL:
		return maxSyncPayload
	}
	return maxAPIBody
}

func (k Gateway) maxPayload() int {
	if k == ALB || k == ALBMulti {
		return maxALB
	}
	return maxResponse
}

// headerTooLarge counts as each gateway does: the HTTP API the request line and the values, the REST API the values, the
// load balancer everything.
func (a *arrival) headerTooLarge(r *http.Request) bool {
	values, names := len(r.Host), len("Host")
	for name, list := range r.Header {
		if name == gatewayHeader {
			continue
		}
		for _, value := range list {
			values += len(value)
			names += len(name)
		}
	}
	line := len(a.method + " " + a.path + " " + a.protocol)
	if a.query != "" {
		line += len("?" + a.query)
	}
	switch a.kind {
	case HTTPAPI:
		return line+values > maxAPIHeader
	case RESTAPI:
		return values > maxAPIHeader
	case ALB, ALBMulti:
		return line+names+values > maxALBHeader
	}
	return false
}

// setHeader takes the client's header, without what is only for the connection, and adds what the gateways add.
func (a *arrival) setHeader(r *http.Request) {
	h := r.Header.Clone()
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", gatewayHeader} {
		h.Del(name)
	}
	h.Set("Host", r.Host)
	h.Set("X-Forwarded-For", strings.Join(append(h.Values("X-Forwarded-For"), a.sourceIP), ", "))
	h.Set("X-Forwarded-Port", "443")
	h.Set("X-Forwarded-Proto", "https")
	h.Set("X-Amzn-Trace-Id", a.trace(h.Get("X-Amzn-Trace-Id")))
	switch {
	case a.kind == RESTAPI:
		h.Del("Content-Length")
	case a.kind == HTTPAPI, len(a.body) > 0:
		h.Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	a.header = h
}

// trace continues the client's trace, as API Gateway does, or is put before it, as the load balancer does.
func (a *arrival) trace(client string) string {
	id := fmt.Sprintf("1-%08x-%s", a.at.Unix(), randomHex(12))
	switch {
	case !strings.Contains(client, "Root="):
		return "Root=" + id
	case a.kind == ALB, a.kind == ALBMulti:
		return "Self=" + id + ";" + client
	}
	return client
}

// event is the document that the function gets.
func (a *arrival) event(binaryTypes []string) []byte {
	switch a.kind {
	case RESTAPI:
		return a.eventV1(binaryTypes)
	case ALB, ALBMulti:
		return a.eventALB()
	}
	return a.eventV2()
}

// text is the body, and whether it had to be made base64.
func (a *arrival) text(binary bool) (string, bool) {
	if len(a.body) == 0 {
		return "", false
	}
	if binary {
		return base64.StdEncoding.EncodeToString(a.body), true
	}
	return string(a.body), false // what is not UTF-8 is lost in JSON, on AWS too
}

// binary is the rule of all gateways but the REST API: few types are text, and a body without a type is not.
func (a *arrival) binary() bool {
	t := mediaType(a.header.Get("Content-Type"))
	if a.header.Get("Content-Encoding") != "" && a.kind != HTTPAPI && a.kind != FunctionURL {
		return true
	}
	switch t {
	case "application/json", "application/javascript", "application/xml":
		return false
	}
	return !strings.HasPrefix(t, "text/")
}

// mediaType is the first one of an Accept or Content-Type header, without its parameters.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ",")
	value, _, _ = strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(value))
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // does not fail
	return hex.EncodeToString(b)
}

func newUUID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// newAPIID is a request id as the HTTP API makes them.
func newAPIID() string {
	b := make([]byte, 11)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
