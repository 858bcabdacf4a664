package gateway

import (
	"strings"

	"github.com/osirose-new/database-service/local/emulator/template"
)

// eventALB is the event of a load balancer, with one value for each name or with all.
type eventALB struct {
	Context      contextALB          `json:"requestContext"`
	Method       string              `json:"httpMethod"`
	Path         string              `json:"path"`
	Query        map[string]string   `json:"queryStringParameters,omitzero"`
	MultiQuery   map[string][]string `json:"multiValueQueryStringParameters,omitzero"`
	Headers      map[string]string   `json:"headers,omitzero"`
	MultiHeaders map[string][]string `json:"multiValueHeaders,omitzero"`
	Body         string              `json:"body"`
	Base64       bool                `json:"isBase64Encoded"`
}

type contextALB struct {
	ELB struct {
		TargetGroupARN string `json:"targetGroupArn"`
	} `json:"elb"`
}

func (req *request) eventALB() []byte {
	e := eventALB{Method: req.method, Path: req.path}
	e.Context.ELB.TargetGroupARN = "arn:aws:elasticloadbalancing:" + region + ":" + template.Account + ":targetgroup/emulator/0123456789abcdef"
	headers := make(map[string][]string, len(req.header))
	for name, values := range req.header {
		headers[strings.ToLower(name)] = values
	}
	query := rawQuery(req.query)
	if req.kind == ALBMulti {
		e.MultiHeaders, e.MultiQuery = headers, query
	} else {
		e.Headers, e.Query = last(headers), last(query)
	}
	e.Body, e.Base64 = req.text(req.binary())
	return encodeEvent(e)
}

// rawQuery returns the query with its escapes, which the load balancer leaves to the function.
func rawQuery(raw string) map[string][]string {
	query := map[string][]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			query[name] = append(query[name], value)
		}
	}
	return query
}
