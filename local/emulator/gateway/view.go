package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Request is the HTTP request in an event.
type Request struct {
	Kind        Kind
	Method      string
	Path        string // without the name of the stage; escaped as in the event
	ContentType string
	Body        []byte // not base64
}

// Response is the HTTP response in a document that a function returned.
type Response struct {
	Status      int
	ContentType string
	Body        []byte // not base64
}

// ErrNotHTTP says that an event is of no gateway. A scheduled event is an example.
var ErrNotHTTP = errors.New("the event is not an HTTP request of a gateway")

// anyEvent has the fields of all gateways' events that ParseEvent needs.
type anyEvent struct {
	Version      string              `json:"version"`
	RawPath      string              `json:"rawPath"`
	Path         string              `json:"path"`
	Method       string              `json:"httpMethod"`
	Headers      map[string]string   `json:"headers"`
	MultiHeaders map[string][]string `json:"multiValueHeaders"`
	Body         string              `json:"body"`
	Base64       bool                `json:"isBase64Encoded"`
	Context      struct {
		ELB        *struct{}
		HTTP       struct{ Method string }
		Stage      string
		DomainName string
	} `json:"requestContext"`
}

// ParseEvent returns the HTTP request in an event. The kind follows from the event's form, so the event may also be one of AWS.
// The error is ErrNotHTTP if the event is of no gateway.
func ParseEvent(event []byte) (Request, error) {
	var e anyEvent
	if json.Unmarshal(event, &e) != nil {
		return Request{}, ErrNotHTTP // a field has another type
	}
	kind, ok := e.kind()
	if !ok {
		return Request{}, ErrNotHTTP
	}
	r := Request{Kind: kind, Method: e.Method + e.Context.HTTP.Method, Path: e.Path + e.RawPath, ContentType: e.contentType(), Body: []byte(e.Body)}
	if kind == HTTPAPI {
		r.Path = (&request{stage: e.Context.Stage}).unstaged(r.Path)
	}
	if e.Base64 {
		var err error
		if r.Body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return Request{}, fmt.Errorf("the body of the event is not base64: %w", err)
		}
	}
	return r, nil
}

func (e *anyEvent) kind() (k Kind, ok bool) {
	switch {
	case e.Context.ELB != nil && e.MultiHeaders != nil:
		return ALBMulti, true
	case e.Context.ELB != nil:
		return ALB, true
	case e.Version == "2.0" && strings.Contains(e.Context.DomainName, ".lambda-url."):
		return FunctionURL, e.Context.HTTP.Method != ""
	case e.Version == "2.0":
		return HTTPAPI, e.Context.HTTP.Method != ""
	}
	return RESTAPI, e.Method != "" && e.Path != ""
}

// contentType returns the Content-Type, or "". Names of headers have lower case or net/http's.
func (e *anyEvent) contentType() string {
	for name, value := range e.Headers {
		if strings.EqualFold(name, "Content-Type") {
			return value
		}
	}
	for name, values := range e.MultiHeaders {
		if strings.EqualFold(name, "Content-Type") && len(values) > 0 {
			return values[len(values)-1]
		}
	}
	return ""
}

// ParseResponse returns the HTTP response that a gateway makes of a function's document. The body is never base64. A REST API,
// however, sends base64 text to a client that does not accept a binary type. The error says why the document is malformed.
func ParseResponse(kind Kind, payload []byte) (Response, error) {
	made, err := kind.response(payload, true)
	if err != nil {
		return Response{}, err
	}
	return Response{made.status, made.header.Get("Content-Type"), made.body}, nil
}
