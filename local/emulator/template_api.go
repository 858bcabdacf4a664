package emulator

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readAPI reads what a gateway has to know. Conditions are not asked: the emulator has all gateways at once, and the
// deployment one of them.
func (p *parser) readAPI(id string, n *yaml.Node) error {
	gateway := map[string]Gateway{"AWS::Serverless::HttpApi": HTTPAPI, "AWS::Serverless::Api": RESTAPI}[typeOf(n)]
	if gateway == "" {
		return nil
	}
	properties := child(n, "Properties")
	stage, err := p.text(properties, "StageName", "")
	if err != nil {
		return err
	}
	if stage != "" {
		p.out.stage[gateway] = stage
	}
	types, err := p.list(properties, "BinaryMediaTypes")
	if err != nil {
		return err
	}
	p.out.binaryTypes = append(p.out.binaryTypes, types...)
	for kind, response := range entries(child(properties, "GatewayResponses")) {
		if err := p.readResponse(kind, response); err != nil {
			return err
		}
	}
	for path, methods := range entries(child(child(properties, "DefinitionBody"), "paths")) {
		for method, operation := range entries(methods) {
			if err := p.readOperation(gateway, method, path, operation); err != nil {
				return err
			}
		}
	}
	return nil
}

// functionInURI finds the function that an integration invokes.
var functionInURI = regexp.MustCompile(`:function:([A-Za-z0-9_-]+)`)

func (p *parser) readOperation(gateway Gateway, method, path string, n *yaml.Node) error {
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
	p.addRoute(gateway, method, path, part[1])
	return nil
}

// addRoute adds a route to a function that is there: its condition may not hold.
func (p *parser) addRoute(gateway Gateway, method, path, function string) {
	method = strings.ToUpper(method)
	if method == "*" || method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
		method = "ANY"
	}
	for _, s := range p.out.functions {
		if s.id == function {
			p.out.routes = append(p.out.routes, templateRoute{gateway: gateway, method: method, path: path, function: function})
		}
	}
}

// readResponse reads one of GatewayResponses. A gateway has one template for each type; ours takes JSON, or the only one.
func (p *parser) readResponse(kind string, n *yaml.Node) error {
	r := gatewayResponse{headers: map[string]string{}}
	status, err := p.text(n, "StatusCode", "0")
	if err != nil {
		return err
	}
	if r.status, err = strconv.Atoi(status); err != nil {
		return p.errorf(child(n, "StatusCode"), "StatusCode is not a number")
	}
	for name := range entries(child(child(n, "ResponseParameters"), "Headers")) {
		value, err := p.text(child(child(n, "ResponseParameters"), "Headers"), name, "")
		if err != nil {
			return err
		}
		r.headers[name] = strings.Trim(value, "'")
	}
	templates := child(n, "ResponseTemplates")
	for contentType := range entries(templates) {
		body, err := p.text(templates, contentType, "")
		if err != nil {
			return err
		}
		if r.body == "" || contentType == "application/json" {
			r.body, r.headers["Content-Type"] = body, contentType
		}
	}
	p.out.responses[kind] = r
	return nil
}
