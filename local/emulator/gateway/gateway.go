// Package gateway turns HTTP requests into the events of API Gateway, of a Function URL or of a load balancer, and the
// documents that functions return into HTTP responses, with the limits and refusals of each of them.
//
// A function sees what it sees on AWS: HTTPS on port 443, and the domain of an API in the context. The differences:
//   - The Host is the client's.
//   - Signatures are not verified; the access key of a signed request becomes the name of its user. An API that requires a
//     signature admits a request without one too, as a session of a made-up role.
//   - In the event of a REST API, names of headers have net/http's case.
//   - There are no other authorizers, CORS responses, stage variables or listener rules.
package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// Kind is a kind of gateway. Each sends events of another shape.
type Kind string

// The kinds.
const (
	HTTPAPI     Kind = "v2"        // API Gateway's HTTP API, payload format 2.0
	RESTAPI     Kind = "v1"        // API Gateway's REST API, Lambda proxy integration
	FunctionURL Kind = "furl"      // a function's own URL
	ALB         Kind = "alb"       // an Application Load Balancer
	ALBMulti    Kind = "alb-multi" // a load balancer whose target group has multi-value headers switched on
)

// A request chooses its gateway by the path /_gateway/{kind}/... or by the header. The event contains neither.
const (
	kindPath   = "/_gateway/"
	kindHeader = "X-Emulator-Gateway"
)

// ParseKind returns the kind that a flag, a path or a header names.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case HTTPAPI, RESTAPI, FunctionURL, ALB, ALBMulti:
		return k, nil
	}
	return "", fmt.Errorf("unknown gateway %q (supported: v2, v1, furl, alb, alb-multi)", s)
}

// Function invokes a function with an event of a gateway. It must return after the function's own timeout at the latest.
type Function func(ctx context.Context, kind Kind, requestID string, event []byte) Result

// Result is how an invocation ended.
type Result struct {
	Payload   []byte // what the function returned
	Failed    bool   // the function, or its process, failed
	Throttled bool   // it did not run: too many invocations run and wait
}

// Config describes the gateways.
type Config struct {
	Default     Kind                         // of requests that choose none; HTTPAPI if empty
	Routes      map[Kind][]Route             // a gateway without routes has those of HTTPAPI
	Stages      map[Kind]string              // default: "$default" for HTTPAPI, "Prod" for RESTAPI
	IAM         map[Kind]bool                // the gateways that require a signature: HTTPAPI and RESTAPI
	BinaryTypes []string                     // BinaryMediaTypes of the REST API; "~1" stands for "/"
	Timeouts    map[Kind]time.Duration       // default: AWS's own
	Responses   map[string]template.Response // GatewayResponses of the REST API
	Save        func(kind Kind, functionName string, event []byte)
	Now         func() time.Time
}

type handler struct{ Config }

// New returns a handler that serves every kind of gateway. What c leaves empty has a default. The handler must not stand
// behind an http.ServeMux: that redirects paths such as //a, which gateways pass on.
func New(c Config) http.Handler {
	if c.Default == "" {
		c.Default = HTTPAPI
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Save == nil {
		c.Save = func(Kind, string, []byte) {}
	}
	types := make([]string, len(c.BinaryTypes))
	for i, t := range c.BinaryTypes {
		types[i] = strings.ReplaceAll(t, "~1", "/")
	}
	c.BinaryTypes = types
	return &handler{c}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, path, err := h.choose(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req, why := h.read(kind, path, w, r)
	if why == none {
		why = h.forward(req, w, r)
	}
	if why != none && why != clientLeft {
		h.refuse(req, why, w)
	}
}

// choose returns the gateway of a request and the path that the gateway sees, still escaped.
func (h *handler) choose(r *http.Request) (Kind, string, error) {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, kindPath); ok {
		name, rest, _ := strings.Cut(rest, "/")
		kind, err := ParseKind(name)
		return kind, "/" + rest, err
	}
	if name := r.Header.Get(kindHeader); name != "" {
		kind, err := ParseKind(name)
		return kind, path, err
	}
	return h.Default, path, nil
}

// forward sends the request to its function and responds with what that returns.
func (h *handler) forward(req *request, w http.ResponseWriter, r *http.Request) reason {
	event := req.event(h.BinaryTypes)
	if len(event) > template.MaxRequest {
		return bodyTooLarge
	}
	h.Save(req.kind, req.route.Name, event)
	result, why := h.invoke(r.Context(), req, event)
	if why != none {
		return why
	}
	if result.Throttled {
		return throttled
	}
	if result.Failed || len(result.Payload) > req.kind.maxPayload() {
		return functionFailed
	}
	made, why := req.decode(result.Payload, h.BinaryTypes)
	if why != none {
		return why
	}
	req.write(made, w)
	return none
}

// invoke waits for the function as long as the gateway does. As on Lambda, the function runs on after the gateway gave up or
// the client left.
func (h *handler) invoke(ctx context.Context, req *request, event []byte) (Result, reason) {
	done := make(chan Result, 1)
	running := context.WithoutCancel(ctx)
	go func() { done <- req.route.Function(running, req.kind, req.invocationID, event) }()
	late := time.NewTimer(h.timeout(req.kind))
	defer late.Stop()
	select {
	case result := <-done:
		return result, none
	case <-late.C:
		return Result{}, timedOut
	case <-ctx.Done():
		return Result{}, clientLeft
	}
}

func (h *handler) timeout(kind Kind) time.Duration {
	if d := h.Timeouts[kind]; d > 0 {
		return d
	}
	switch kind {
	case HTTPAPI:
		return 30 * time.Second
	case RESTAPI:
		return 29 * time.Second
	}
	return 15 * time.Minute // the longest timeout of a function
}
