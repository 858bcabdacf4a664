package lambdahttp

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// kind is the form of an event and of its response.
type kind int

const (
	nothing  kind = iota // a warm-up event
	v2                   // HTTP API with payload 2.0, Function URL, VPC Lattice
	v1                   // REST API, HTTP API with payload 1.0
	alb                  // load balancer that sends one value for each header
	albMulti             // load balancer that sends all values
)

// event holds the parts of an event that are used, whatever its kind.
type event struct {
	kind             kind
	method, path     string
	query            string // raw
	body             string
	base64           bool
	domain, sourceIP string
	identity         string // v1: the ARN of the IAM principal

	headers, cookies string // JSON
	authorizer       string // JSON, v2
}

var errNoObject = errors.New("the event is not a JSON object in UTF-8")

// decode reads an event. It ignores a member whose type is not the one that AWS documents.
func decode(payload []byte) (*event, error) {
	if !utf8.Valid(payload) {
		return nil, errNoObject
	}
	raw := strings.TrimSpace(string(payload)) // the only copy: the runtime reuses the payload's buffer
	if raw == "" || raw == "null" || strings.HasPrefix(raw, `"#warmup`) {
		return &event{}, nil
	}
	var t top
	if !gjson.Valid(raw) || !members(raw, t.member) {
		return nil, errNoObject
	}
	return t.event(raw)
}

// top is the outermost object of an event of any kind.
type top struct {
	version, source, detailType, kind     string
	method, path, rawPath, rawQuery, body string
	latticeMethod, latticePath            string

	headers, multiHeaders, query, multiQuery, cookies, context string // JSON

	base64, warmUp bool
}

func (t *top) member(name, value string) {
	switch name {
	case "version":
		t.version = text(value)
	case "source":
		t.source = text(value)
	case "detail-type":
		t.detailType = text(value)
	case "type":
		t.kind = text(value)
	case "warmer", "warmup", "warmUp":
		t.warmUp = t.warmUp || value == "true"
	case "httpMethod":
		t.method = text(value)
	case "path":
		t.path = text(value)
	case "method":
		t.latticeMethod = text(value)
	case "raw_path":
		t.latticePath = text(value)
	case "rawPath":
		t.rawPath = text(value)
	case "rawQueryString":
		t.rawQuery = text(value)
	case "body":
		t.body = text(value)
	case "headers":
		t.headers = value
	case "multiValueHeaders":
		t.multiHeaders = value
	case "queryStringParameters":
		t.query = value
	case "multiValueQueryStringParameters":
		t.multiQuery = value
	case "cookies":
		t.cookies = value
	case "requestContext":
		t.context = value
	case "isBase64Encoded", "is_base64_encoded":
		t.base64 = value == "true"
	}
}

// event finds the kind of an event. It requires no member that the test events of AWS's console leave out.
func (t *top) event(raw string) (*event, error) {
	e := &event{method: t.method, path: t.path, headers: t.headers, body: t.body, base64: t.base64}
	elb := false
	members(t.context, func(name, value string) { elb = elb || name == "elb" && isObject(value) })
	switch {
	case t.latticeMethod != "" && t.rawPath == "" && t.method == "" && (t.latticePath != "" || t.version == "2.0"):
		e.kind, e.method = v2, t.latticeMethod
		e.path, e.query, _ = strings.Cut(cmp.Or(t.latticePath, t.path), "?")
		return e, nil
	case t.version == "2.0":
		e.kind, e.path, e.query, e.cookies = v2, t.rawPath, t.rawQuery, t.cookies
		members(t.context, e.context)
		return e, nil
	case elb && isObject(t.multiHeaders):
		e.kind = albMulti
	case elb:
		e.kind = alb
	case t.method != "":
		e.kind = v1
		members(t.context, e.context)
	case t.isWarmUp():
		return e, nil
	default:
		return e, unknown(raw)
	}
	if isFilled(t.multiHeaders) {
		e.headers = t.multiHeaders
	}
	e.query = rawQuery(t, e.kind == v1)
	return e, nil
}

// isWarmUp reports whether the event is a schedule's, or a warm-up event of serverless-plugin-warmup, lambda-warmer or OpenNext.
// Thundra's is a text: see decode.
func (t *top) isWarmUp() bool {
	switch t.source {
	case "aws.events", "aws.scheduler", "serverless-plugin-warmup":
		return true
	}
	return t.detailType == "Scheduled Event" || t.kind == "warmer" || t.warmUp
}

// isHealthCheck reports whether the event is a load balancer's health check. "/" is the default path of a target group.
func (e *event) isHealthCheck() bool {
	return (e.kind == alb || e.kind == albMulti) && e.method == http.MethodGet && (e.path == "/" || e.path == "/healthz")
}

// context reads a member of requestContext. A gateway fills in either http or identity.
func (e *event) context(name, value string) {
	switch name {
	case "domainName":
		e.domain = text(value)
	case "authorizer":
		e.authorizer = value
	case "http":
		if e.kind == v2 {
			members(value, e.client)
		}
	case "identity":
		if e.kind == v1 {
			members(value, e.client)
		}
	}
}

// client reads a member of http or identity.
func (e *event) client(name, value string) {
	switch name {
	case "method":
		e.method = text(value)
	case "sourceIp":
		e.sourceIP = text(value)
	case "userArn":
		e.identity = text(value)
	}
}

// maxNames is the number of an unknown event's keys that the error names.
const maxNames = 20

// unknown returns the error for an event that is not a request. It names the event's keys, never its values. An empty object
// is no error: it keeps a process warm.
func unknown(raw string) error {
	var names []string
	members(raw, func(name, _ string) { names = append(names, strconv.Quote(name)) })
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("the event is no request of a known kind; its keys are %s", strings.Join(names, ", "))
}
