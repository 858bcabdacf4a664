package emulator

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// spec is a function as the template has it.
type spec struct {
	id        string // logical
	name      string // FunctionName, mostly the same
	folder    string // last element of CodeUri
	source    string // folder of CodeUri, relative to the template's; "" where that is no folder
	handler   string
	arn       string
	region    string
	timeout   time.Duration
	memory    int               // MB
	retries   int               // of an event
	reserved  int               // ReservedConcurrentExecutions; 0: as many as there is room for
	variables map[string]string // whose value is known
	declared  map[string]bool   // variables, with a known value or not
}

// readFunction adds a function, unless its condition does not hold.
func (p *parser) readFunction(id string, n *yaml.Node) error {
	if c := child(n, "Condition"); c != nil {
		if yes, err := p.condition(c, c.Value); err != nil || !yes {
			return err
		}
	}
	own := p.withGlobals(child(n, "Properties"))
	arn, _ := p.references[id+".Arn"].(string)
	region, _ := p.references["AWS::Region"].(string)
	s := &spec{
		id: id, arn: arn, region: region, folder: id,
		variables: map[string]string{}, declared: map[string]bool{},
	}
	if err := p.readSettings(s, own); err != nil {
		return err
	}
	code, err := p.text(own, "CodeUri", "")
	if err != nil {
		return err
	}
	if code != "" {
		s.source = path.Clean(code)
		s.folder = path.Base(s.source)
		p.out.sources = append(p.out.sources, source{s.source, child(own, "CodeUri").Line})
	}
	for _, variables := range []*yaml.Node{child(child(p.global, "Environment"), "Variables"), child(child(own, "Environment"), "Variables")} {
		if err := p.readVariables(s, variables); err != nil {
			return err
		}
	}
	p.out.functions = append(p.out.functions, s)
	return p.readEvents(s, child(own, "Events"))
}

// checkSources looks for the folder, or the archive, that each CodeUri names. It need not be there for whom only runs what
// was built.
func (t *template) checkSources(file string) error {
	for _, s := range t.sources {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), s.path)); err != nil && !strings.HasPrefix(s.path, "s3:") {
			return fmt.Errorf("%s:%d: CodeUri: %w", file, s.line, err)
		}
	}
	return nil
}

// same compares all that matters: not the lines.
func (t *template) same(other *template) bool {
	a, b := *t, *other
	a.sources, b.sources = nil, nil
	return reflect.DeepEqual(a, b)
}

// readSettings reads what is a name or a number.
func (p *parser) readSettings(s *spec, own *yaml.Node) error {
	timeout, err := p.number(own, "Timeout", 3, 1, 900)
	if err != nil {
		return err
	}
	s.timeout = time.Duration(timeout) * time.Second
	if s.memory, err = p.number(own, "MemorySize", 128, 128, 10240); err != nil {
		return err
	}
	if s.retries, err = p.number(child(own, "EventInvokeConfig"), "MaximumRetryAttempts", 2, 0, 2); err != nil {
		return err
	}
	if s.reserved, err = p.number(own, "ReservedConcurrentExecutions", 0, 0, 1<<20); err != nil {
		return err
	}
	if s.name, err = p.text(own, "FunctionName", s.id); err != nil {
		return err
	}
	if s.handler, err = p.text(own, "Handler", "bootstrap"); err != nil {
		return err
	}
	return nil
}

// withGlobals returns the properties of a function, and behind them those that all have. The first of a name counts.
func (p *parser) withGlobals(own *yaml.Node) *yaml.Node {
	merged := yaml.Node{Kind: yaml.MappingNode}
	for _, n := range []*yaml.Node{own, p.global} {
		if n != nil && n.Kind == yaml.MappingNode {
			merged.Line = n.Line
			merged.Content = append(merged.Content, n.Content...)
		}
	}
	return &merged
}

func (p *parser) readVariables(s *spec, n *yaml.Node) error {
	for name, value := range entries(n) {
		s.declared[name] = true
		v, err := p.eval(value, nil)
		if err != nil {
			return err
		}
		delete(s.variables, name)
		if text, ok := v.(string); ok {
			s.variables[name] = text
		}
	}
	return nil
}

// readEvents reads the routes that a function declares itself.
func (p *parser) readEvents(s *spec, n *yaml.Node) error {
	for _, event := range entries(n) {
		gateway := map[string]Gateway{"HttpApi": HTTPAPI, "Api": RESTAPI}[typeOf(event)]
		if gateway == "" {
			continue // a schedule, say
		}
		properties := child(event, "Properties")
		path, err := p.text(properties, "Path", "$default")
		if err != nil {
			return err
		}
		method, err := p.text(properties, "Method", "ANY")
		if err != nil {
			return err
		}
		p.addRoute(gateway, method, path, s.id)
	}
	return nil
}
