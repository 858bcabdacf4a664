package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// eventV2 is payload format 2.0, the event of the HTTP API and of function URLs.
type eventV2 struct {
	Version    string            `json:"version"`
	RouteKey   string            `json:"routeKey"`
	RawPath    string            `json:"rawPath"`
	RawQuery   string            `json:"rawQueryString"`
	Cookies    []string          `json:"cookies,omitempty"`
	Headers    map[string]string `json:"headers"`
	Query      map[string]string `json:"queryStringParameters,omitempty"`
	Context    contextV2         `json:"requestContext"`
	Parameters map[string]string `json:"pathParameters,omitempty"`
	Body       string            `json:"body,omitempty"`
	Base64     bool              `json:"isBase64Encoded"`
}

type contextV2 struct {
	AccountID    string        `json:"accountId"`
	APIID        string        `json:"apiId"`
	Authorizer   *authorizerV2 `json:"authorizer,omitempty"`
	DomainName   string        `json:"domainName"`
	DomainPrefix string        `json:"domainPrefix"`
	HTTP         httpV2        `json:"http"`
	RequestID    string        `json:"requestId"`
	RouteKey     string        `json:"routeKey"`
	Stage        string        `json:"stage"`
	Time         string        `json:"time"`
	TimeEpoch    int64         `json:"timeEpoch"`
}

type httpV2 struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

type authorizerV2 struct {
	IAM *iamV2 `json:"iam"`
}

type iamV2 struct {
	AccessKey       string    `json:"accessKey"`
	AccountID       string    `json:"accountId"`
	CallerID        string    `json:"callerId"`
	CognitoIdentity *struct{} `json:"cognitoIdentity"`
	PrincipalOrgID  *string   `json:"principalOrgId"`
	UserARN         string    `json:"userArn"`
	UserID          string    `json:"userId"`
}

func (req *request) eventV2() []byte {
	e := eventV2{Version: "2.0", RouteKey: "$default", RawPath: req.path, RawQuery: req.query, Headers: req.lowerHeaders()}
	if req.kind == HTTPAPI {
		e.RouteKey = req.route.key()
		e.RawPath = req.staged(decoded(req.path))
		e.Parameters = req.parameters
	}
	if e.Cookies = cookies(req.header); len(e.Cookies) > 0 && req.kind == HTTPAPI {
		delete(e.Headers, "cookie")
	} else if len(e.Cookies) > 0 {
		e.Headers["cookie"] = strings.Join(e.Cookies, "; ")
	}
	for name, values := range parseQuery(req.query) {
		if e.Query == nil {
			e.Query = map[string]string{}
		}
		e.Query[name] = strings.Join(values, ",")
	}
	e.Body, e.Base64 = req.text(req.binary())
	e.Context = req.contextV2(e)
	return encodeEvent(e)
}

func (req *request) contextV2(e eventV2) contextV2 {
	c := contextV2{
		AccountID: template.Account, APIID: apiID, DomainName: apiID + ".execute-api." + region + ".amazonaws.com", DomainPrefix: apiID,
		HTTP:      httpV2{req.method, e.RawPath, req.protocol, req.sourceIP, req.header.Get("User-Agent")},
		RequestID: req.requestID, RouteKey: e.RouteKey, Stage: req.stage, Time: req.clock(), TimeEpoch: req.at.UnixMilli(),
	}
	by, signed := req.signer()
	if signed {
		c.Authorizer = &authorizerV2{&iamV2{AccessKey: by.key, AccountID: template.Account, CallerID: by.id, UserARN: by.arn, UserID: by.id}}
	}
	if req.kind == FunctionURL {
		c.APIID, c.DomainPrefix, c.DomainName = urlID, urlID, urlID+".lambda-url."+region+".on.aws"
		if !signed {
			c.AccountID = "anonymous"
		}
	}
	return c
}

// decoded returns the path as the HTTP API sends it: unescaped, and cut at an escaped question mark.
func decoded(path string) string {
	plain, _, _ := strings.Cut(unescaped(path), "?")
	return plain
}

// lowerHeaders returns all headers, with names in lower case and joined values.
func (req *request) lowerHeaders() map[string]string {
	h := make(map[string]string, len(req.header))
	for name, values := range req.header {
		h[strings.ToLower(name)] = strings.Join(values, ",")
	}
	return h
}

// cookies returns the cookies of all Cookie headers.
func cookies(h http.Header) []string {
	var list []string
	for _, line := range h["Cookie"] {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c != "" {
				list = append(list, c)
			}
		}
	}
	return list
}

// parseQuery omits what does not parse.
func parseQuery(raw string) url.Values {
	v, _ := url.ParseQuery(raw)
	return v
}

// clock returns the time in the form of a web server's log.
func (req *request) clock() string { return req.at.Format("02/Jan/2006:15:04:05 -0700") }

// encodeEvent encodes v as JSON without HTML escapes.
func encodeEvent(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // never fails for strings, numbers and maps of them
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
