// Package template reads the subset of a SAM or CloudFormation template that the emulator needs: functions with their
// settings and environment, routes, and the settings of the APIs. It evaluates conditions and intrinsic functions. A value
// that only a deployment knows, for example an attribute of a database, is unknown, not an error.
package template

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Account is the AWS account of every name that the emulator makes up.
const Account = "123456789012"

// Lambda's limits for the payloads of a synchronous invocation, in bytes.
const (
	MaxRequest  = 6 << 20
	MaxResponse = 6<<20 + 100
)

// API is a kind of API Gateway.
type API string

// The kinds.
const (
	HTTPAPI API = "HTTP API"
	RESTAPI API = "REST API"
)

// Template is the content of a template file.
type Template struct {
	Functions   []*Function // sorted by id
	Parameters  []Parameter // in the order of the file
	Routes      []Route
	Stages      map[API]string      // names, of the APIs that have one
	IAM         map[API]bool        // the APIs that admit only signed requests
	BinaryTypes []string            // BinaryMediaTypes of the REST API
	Responses   map[string]Response // GatewayResponses of the REST API, by DEFAULT_5XX, INTEGRATION_TIMEOUT, ...
	sources     []source
}

// source is a CodeUri.
type source struct {
	path string // relative to the template's folder
	line int
}

// Parameter is a parameter of the template with the value that Read used.
type Parameter struct {
	Name   string
	Value  string
	Known  bool // false: there is no default and no caller gave a value, or the value is in the Parameter Store
	NoEcho bool // CloudFormation shows the value to no one
}

// Route leads requests to a function.
type Route struct {
	API      API
	Method   string // "POST"; "ANY" is every method
	Path     string // "/twirp/x.Service/{method}", "/{proxy+}", or "$default"
	Function string // id
}

// Response is one of GatewayResponses. In Body, $context.error.message, $context.error.messageString,
// $context.error.responseType and $context.requestId stand for their values in the request.
type Response struct {
	Status  int               // 0: AWS's default
	Headers map[string]string // values without the quotes of the template
	Body    string            // "": AWS's default
}

// parser reads one template.
type parser struct {
	*evaluator
	root   *yaml.Node
	global *yaml.Node // Globals.Function
	out    Template
}

// Read reads the template in file. Parameters win over the template's defaults. Errors name the line.
func Read(file, region string, parameters map[string]string) (*Template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the template cannot be read: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s is no template: write one of SAM or CloudFormation, with Resources", file)
	}
	root := document.Content[0]
	p := &parser{
		evaluator: &evaluator{
			file: file, references: pseudoParameters(region), resources: map[string]bool{},
			conditions: map[string]*yaml.Node{}, decided: map[string]bool{}, mappings: child(root, "Mappings"),
		},
		root: root, global: child(child(root, "Globals"), "Function"),
		out: Template{Stages: map[API]string{}, IAM: map[API]bool{}, Responses: map[string]Response{}},
	}
	if err := p.readParameters(parameters); err != nil {
		return nil, err
	}
	if err := p.readResources(region); err != nil {
		return nil, err
	}
	return &p.out, nil
}

func pseudoParameters(region string) map[string]any {
	return map[string]any{
		"AWS::AccountId": Account, "AWS::Region": region, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
		"AWS::StackName": "emulator", "AWS::StackId": "arn:aws:cloudformation:" + region + ":" + Account + ":stack/emulator/0",
		"AWS::NotificationARNs": []any{}, "AWS::NoValue": absent{},
	}
}

// entries are the keys and values of a mapping, in the order of the file.
func entries(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// readParameters prefers given to the defaults. A parameter without either is unknown.
func (p *parser) readParameters(given map[string]string) error {
	left := maps.Clone(given)
	for name, n := range entries(child(p.root, "Parameters")) {
		value, ok := given[name]
		delete(left, name)
		if d := child(n, "Default"); !ok && d != nil {
			value, ok = d.Value, true
		}
		kind := child(n, "Type")
		switch {
		case !ok || kind != nil && strings.HasPrefix(kind.Value, "AWS::SSM::"):
			p.references[name] = unknown{}
			ok = false
		case kind != nil && (kind.Value == "CommaDelimitedList" || strings.HasPrefix(kind.Value, "List<")):
			list := []any{}
			for part := range strings.SplitSeq(value, ",") {
				list = append(list, strings.TrimSpace(part))
			}
			p.references[name] = list
		default:
			p.references[name] = value
		}
		hidden := child(n, "NoEcho")
		p.addParameter(Parameter{Name: name, Value: value, Known: ok, NoEcho: hidden != nil && strings.EqualFold(hidden.Value, "true")})
	}
	if len(left) > 0 {
		return fmt.Errorf("%s has no parameter %s, which -parameter names", p.file, strings.Join(slices.Sorted(maps.Keys(left)), ", "))
	}
	for name, n := range entries(child(p.root, "Conditions")) {
		p.conditions[name] = n
	}
	return nil
}

func (p *parser) addParameter(a Parameter) {
	if !a.Known {
		a.Value = ""
	}
	p.out.Parameters = append(p.out.Parameters, a)
}

// readResources reads the functions before the routes, which name them.
func (p *parser) readResources(region string) error {
	resources := child(p.root, "Resources")
	for id, n := range entries(resources) {
		p.resources[id] = true
		if isFunction(n) {
			arn := "arn:aws:lambda:" + region + ":" + Account + ":function:" + id
			p.references[id] = id
			p.references[id+".Arn"], p.references[id+".Alias"], p.references[id+".Version"] = arn, arn+":live", arn+":1"
		}
	}
	for id, n := range entries(resources) {
		if !isFunction(n) {
			continue
		}
		if err := p.readFunction(id, n); err != nil {
			return err
		}
	}
	for _, n := range entries(resources) {
		if err := p.readAPI(n); err != nil {
			return err
		}
	}
	slices.SortFunc(p.out.Functions, func(a, b *Function) int { return strings.Compare(a.ID, b.ID) })
	if len(p.out.Functions) == 0 {
		return fmt.Errorf("%s has no function: add a resource of the type AWS::Serverless::Function or AWS::Lambda::Function", p.file)
	}
	return nil
}

func typeOf(resource *yaml.Node) string {
	if t := child(resource, "Type"); t != nil {
		return t.Value
	}
	return ""
}

func isFunction(resource *yaml.Node) bool {
	t := typeOf(resource)
	return t == "AWS::Serverless::Function" || t == "AWS::Lambda::Function"
}

// text returns a property that is a string, or fallback if it is missing or unknown.
func (p *parser) text(properties *yaml.Node, name, fallback string) (string, error) {
	n := child(properties, name)
	if n == nil {
		return fallback, nil
	}
	v, err := p.eval(n, nil)
	if s, ok := v.(string); ok && err == nil {
		return s, nil
	}
	return fallback, err
}

// number returns a property that is an integer.
func (p *parser) number(properties *yaml.Node, name string, fallback, least, most int) (int, error) {
	text, err := p.text(properties, name, strconv.Itoa(fallback))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, p.errorf(child(properties, name), "%s is not a number from %d to %d", name, least, most)
	}
	return n, nil
}

// list returns a property that is a list of strings.
func (p *parser) list(properties *yaml.Node, name string) ([]string, error) {
	n := child(properties, name)
	if n == nil {
		return nil, nil
	}
	v, err := p.eval(n, nil)
	values, _ := v.([]any)
	var list []string
	for _, value := range values {
		if s, ok := value.(string); ok {
			list = append(list, s)
		}
	}
	return list, err
}
