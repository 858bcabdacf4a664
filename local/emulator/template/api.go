package template

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readAPI reads the settings and routes of an API. It ignores the condition of the API: a deployment has one of the APIs, the
// emulator serves all at once.
func (p *parser) readAPI(n *yaml.Node) error {
	api := map[string]API{"AWS::Serverless::HttpApi": HTTPAPI, "AWS::Serverless::Api": RESTAPI}[typeOf(n)]
	if api == "" {
		return nil
	}
	properties := child(n, "Properties")
	stage, err := p.text(properties, "StageName", "")
	if err != nil {
		return err
	}
	if stage != "" {
		p.out.Stages[api] = stage
	}
	authorizer, err := p.text(child(properties, "Auth"), "DefaultAuthorizer", "")
	if err != nil {
		return err
	}
	p.out.IAM[api] = authorizer == "AWS_IAM"
	types, err := p.list(properties, "BinaryMediaTypes")
	if err != nil {
		return err
	}
	p.out.BinaryTypes = append(p.out.BinaryTypes, types...)
	for kind, response := range entries(child(properties, "GatewayResponses")) {
		if err := p.readResponse(kind, response); err != nil {
			return err
		}
	}
	for path, methods := range entries(child(child(properties, "DefinitionBody"), "paths")) {
		for method, operation := range entries(methods) {
			if err := p.readOperation(api, method, path, operation); err != nil {
				return err
			}
		}
	}
	return nil
}

// functionInURI finds the function that an integration invokes.
var functionInURI = regexp.MustCompile(`:function:([A-Za-z0-9_-]+)`)

func (p *parser) readOperation(api API, method, path string, n *yaml.Node) error {
	uri := child(child(n, "x-amazon-apigateway-integration"), "uri")
	if uri == nil {
		return nil
	}
	v, err := p.eval(uri, nil)
	if err != nil {
		return err
	}
	text, _ := v.(string)
	part := functionInURI.FindStringSubmatch(text)
	if part == nil {
		return p.errorf(uri, "the integration of %s %s names no function of this template", strings.ToUpper(method), path)
	}
	p.addRoute(api, method, path, part[1])
	return nil
}

// addRoute adds a route unless the condition of its function is false.
func (p *parser) addRoute(api API, method, path, function string) {
	method = strings.ToUpper(method)
	if method == "*" || method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
		method = "ANY"
	}
	for _, s := range p.out.Functions {
		if s.ID == function {
			p.out.Routes = append(p.out.Routes, Route{api, method, path, function})
		}
	}
}

// readResponse reads one of GatewayResponses. AWS has one template for each content type; the emulator takes the one for JSON,
// or the only one.
func (p *parser) readResponse(kind string, n *yaml.Node) error {
	r := Response{Headers: map[string]string{}}
	status, err := p.text(n, "StatusCode", "0")
	if err != nil {
		return err
	}
	if r.Status, err = strconv.Atoi(status); err != nil {
		return p.errorf(child(n, "StatusCode"), "StatusCode is not a number")
	}
	for name := range entries(child(child(n, "ResponseParameters"), "Headers")) {
		value, err := p.text(child(child(n, "ResponseParameters"), "Headers"), name, "")
		if err != nil {
			return err
		}
		r.Headers[name] = strings.Trim(value, "'")
	}
	templates := child(n, "ResponseTemplates")
	for contentType := range entries(templates) {
		body, err := p.text(templates, contentType, "")
		if err != nil {
			return err
		}
		if r.Body == "" || contentType == "application/json" {
			r.Body, r.Headers["Content-Type"] = body, contentType
		}
	}
	p.out.Responses[kind] = r
	return nil
}
