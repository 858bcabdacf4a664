package emulator

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Gateway is a kind of front protocol of a Lambda function: each sends events of its own shape.
type Gateway string

// The gateways.
const (
	HTTPAPI     Gateway = "v2"        // API Gateway's HTTP API, payload format 2.0
	RESTAPI     Gateway = "v1"        // API Gateway's REST API, Lambda proxy integration
	FunctionURL Gateway = "furl"      // a function's own URL
	ALB         Gateway = "alb"       // an Application Load Balancer
	ALBMulti    Gateway = "alb-multi" // one whose target group has multi-value headers switched on
)

// A request chooses its gateway with the path /_gateway/{kind}/... or with the header. Neither is in the event.
const (
	gatewayPath   = "/_gateway/"
	gatewayHeader = "X-Emulator-Gateway"
)

// ParseGateway returns the gateway that a flag, a path or a header names.
func ParseGateway(s string) (Gateway, error) {
	switch g := Gateway(s); g {
	case HTTPAPI, RESTAPI, FunctionURL, ALB, ALBMulti:
		return g, nil
	}
	return "", fmt.Errorf("no gateway %q: there are v2, v1, furl, alb and alb-multi", s)
}

// gatewayConfig is what a gateway needs.
type gatewayConfig struct {
	fallback    Gateway                    // for requests that choose none
	routes      map[Gateway][]route        // a gateway without its own gets HTTPAPI's
	stage       map[Gateway]string         // "$default" for HTTPAPI and "Prod" for RESTAPI where it has none
	binaryTypes []string                   // BinaryMediaTypes of the REST API, "~1" for "/" or not
	timeouts    map[Gateway]time.Duration  // AWS's own where it has none
	responses   map[string]gatewayResponse // GatewayResponses of the REST API, by DEFAULT_5XX, INTEGRATION_TIMEOUT, ...
	save        func(kind Gateway, functionName string, event []byte)
	now         func() time.Time
}

// gatewayResponse is how a REST API answers by itself. In body stand $context.error.message,
// $context.error.messageString, $context.error.responseType and $context.requestId for what they are in this request.
type gatewayResponse struct {
	status  int               // 0: AWS's own
	headers map[string]string // values without the quotes of the template
	body    string            // "": AWS's own
}

type gateway struct{ gatewayConfig }

// newGateway returns a handler that serves every gateway. What c leaves empty has a default. The handler must not stand
// behind an http.ServeMux: that redirects paths like //a, which the gateways let through.
//
// Functions see what they see on AWS, HTTPS on port 443 and the domain of an API in the context, but for these: the Host
// is the client's; a signature is not verified, its access key becomes a user of that name; names of headers have the case
// of net/http in a REST API's event; there are no other authorizers, CORS answers, stage variables, or rules of a listener.
func newGateway(c gatewayConfig) http.Handler {
	if c.fallback == "" {
		c.fallback = HTTPAPI
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.save == nil {
		c.save = func(Gateway, string, []byte) {}
	}
	types := make([]string, len(c.binaryTypes))
	for i, t := range c.binaryTypes {
		types[i] = strings.ReplaceAll(t, "~1", "/")
	}
	c.binaryTypes = types
	return &gateway{c}
}

// ServeHTTP implements http.Handler.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, path, err := g.choose(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, cause := g.arrive(kind, path, w, r)
	if cause == accepted {
		cause = g.pass(a, w, r)
	}
	if cause != accepted && cause != abandoned {
		g.refuse(a, cause, w)
	}
}

// choose returns the gateway of a request, and its path as the gateway gets to see it, still escaped.
func (g *gateway) choose(r *http.Request) (Gateway, string, error) {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, gatewayPath); ok {
		name, rest, _ := strings.Cut(rest, "/")
		kind, err := ParseGateway(name)
		return kind, "/" + rest, err
	}
	if name := r.Header.Get(gatewayHeader); name != "" {
		kind, err := ParseGateway(name)
		return kind, path, err
	}
	return g.fallback, path, nil
}

// pass sends the request to its function and answers with what that returns.
func (g *gateway) pass(a *arrival, w http.ResponseWriter, r *http.Request) cause {
	event := a.event(g.binaryTypes)
	if len(event) > maxSyncPayload {
		return bodyTooLarge
	}
	g.save(a.kind, a.route.functionName, event)
	out, cause := g.invoke(r.Context(), a, event)
	if cause != accepted {
		return cause
	}
	if out.throttled {
		return overloaded
	}
	if out.failed || len(out.payload) > a.kind.maxPayload() {
		return functionFailed
	}
	made, cause := a.decode(out.payload, g.binaryTypes)
	if cause != accepted {
		return cause
	}
	a.write(made, w)
	return accepted
}

// invoke waits for the function as long as the gateway does. Like Lambda it lets the function run on when the gateway or
// the client has gone.
func (g *gateway) invoke(ctx context.Context, a *arrival, event []byte) (outcome, cause) {
	done := make(chan outcome, 1)
	running := context.WithoutCancel(ctx)
	go func() {
		done <- a.route.function.invoke(running, invocation{requestID: a.invocationID, payload: event})
	}()
	late := time.NewTimer(g.timeout(a.kind))
	defer late.Stop()
	select {
	case out := <-done:
		return out, accepted
	case <-late.C:
		return outcome{}, gaveUp
	case <-ctx.Done():
		return outcome{}, abandoned
	}
}

func (g *gateway) timeout(kind Gateway) time.Duration {
	if d := g.timeouts[kind]; d > 0 {
		return d
	}
	switch kind {
	case HTTPAPI:
		return 30 * time.Second
	case RESTAPI:
		return 29 * time.Second
	}
	return 15 * time.Minute // no limit but the longest of a function
}
