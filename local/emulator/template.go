package emulator

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// account is the AWS account that everything is in.
const account = "123456789012"

// template is what the emulator takes from a template.
type template struct {
	functions   []*spec // by id
	routes      []templateRoute
	stage       map[Gateway]string
	binaryTypes []string
	responses   map[string]gatewayResponse
	sources     []source
}

// source is a CodeUri.
type source struct {
	path string // relative to the template's folder
	line int
}

// templateRoute leads to the function with that id.
type templateRoute struct {
	gateway      Gateway
	method, path string
	function     string
}

// parser reads one template.
type parser struct {
	*evaluator
	root   *yaml.Node
	global *yaml.Node // Globals.Function
	out    template
}

// readTemplate reads the template in file. Errors name the line.
func readTemplate(file, region string, parameters map[string]string) (*template, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: this is no template", file)
	}
	root := document.Content[0]
	p := &parser{
		evaluator: &evaluator{
			file: file, references: pseudoParameters(region), resources: map[string]bool{},
			conditions: map[string]*yaml.Node{}, decided: map[string]bool{}, mappings: child(root, "Mappings"),
		},
		root: root, global: child(child(root, "Globals"), "Function"),
		out: template{stage: map[Gateway]string{}, responses: map[string]gatewayResponse{}},
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
		"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
		"AWS::StackName": "emulator", "AWS::StackId": "arn:aws:cloudformation:" + region + ":" + account + ":stack/emulator/0",
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

// readParameters takes given before the defaults. One that has neither is unknown.
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
		case kind != nil && (kind.Value == "CommaDelimitedList" || strings.HasPrefix(kind.Value, "List<")):
			list := []any{}
			for part := range strings.SplitSeq(value, ",") {
				list = append(list, strings.TrimSpace(part))
			}
			p.references[name] = list
		default:
			p.references[name] = value
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%s has no parameter %s", p.file, strings.Join(slices.Sorted(maps.Keys(left)), ", "))
	}
	for name, n := range entries(child(p.root, "Conditions")) {
		p.conditions[name] = n
	}
	return nil
}

// readResources reads the functions first: the routes lead to them.
func (p *parser) readResources(region string) error {
	resources := child(p.root, "Resources")
	for id, n := range entries(resources) {
		p.resources[id] = true
		if isFunction(n) {
			arn := "arn:aws:lambda:" + region + ":" + account + ":function:" + id
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
	for id, n := range entries(resources) {
		if err := p.readAPI(id, n); err != nil {
			return err
		}
	}
	slices.SortFunc(p.out.functions, func(a, b *spec) int { return strings.Compare(a.id, b.id) })
	if len(p.out.functions) == 0 {
		return fmt.Errorf("%s has no function", p.file)
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

// text is the value of a property that is a text, or fallback where there is none that is known.
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

// number is a property that is a whole number.
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

// list is a property that is a list of texts.
func (p *parser) list(properties *yaml.Node, name string) ([]string, error) {
	n := child(properties, name)
	if n == nil {
		return nil, nil
	}
	v, err := p.eval(n, nil)
	values, _ := v.([]any)
	var texts []string
	for _, value := range values {
		if s, ok := value.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts, err
}
