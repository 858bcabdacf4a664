package template

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

// Function is a Lambda function.
type Function struct {
	ID        string // logical id
	Name      string // FunctionName; by default the logical id
	Folder    string // last element of CodeUri; without CodeUri the logical id
	Source    string // CodeUri, relative to the template's folder; "" if it is missing
	Handler   string
	ARN       string
	Region    string
	Timeout   time.Duration
	Memory    int               // MB
	Retries   int               // of an asynchronous event
	Reserved  int               // ReservedConcurrentExecutions; 0: not limited
	Variables map[string]string // environment variables whose value is known
	Declared  map[string]bool   // names of all environment variables
}

// readFunction adds a function unless its condition is false.
func (p *parser) readFunction(id string, n *yaml.Node) error {
	if c := child(n, "Condition"); c != nil {
		if yes, err := p.condition(c, c.Value); err != nil || !yes {
			return err
		}
	}
	own := p.withGlobals(child(n, "Properties"))
	arn, _ := p.references[id+".Arn"].(string)
	region, _ := p.references["AWS::Region"].(string)
	s := &Function{
		ID: id, ARN: arn, Region: region, Folder: id,
		Variables: map[string]string{}, Declared: map[string]bool{},
	}
	if err := p.readSettings(s, own); err != nil {
		return err
	}
	code, err := p.text(own, "CodeUri", "")
	if err != nil {
		return err
	}
	if code != "" {
		s.Source = path.Clean(code)
		s.Folder = path.Base(s.Source)
		p.out.sources = append(p.out.sources, source{s.Source, child(own, "CodeUri").Line})
	}
	for _, variables := range []*yaml.Node{child(child(p.global, "Environment"), "Variables"), child(child(own, "Environment"), "Variables")} {
		if err := p.readVariables(s, variables); err != nil {
			return err
		}
	}
	p.out.Functions = append(p.out.Functions, s)
	return p.readEvents(s, child(own, "Events"))
}

// CheckSources reports the first CodeUri that names no folder or archive. file is the path of the template. A caller that runs
// programs built elsewhere does not need the sources.
func (t *Template) CheckSources(file string) error {
	for _, s := range t.sources {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), s.path)); err != nil && !strings.HasPrefix(s.path, "s3:") {
			return fmt.Errorf("%s:%d: CodeUri leads to nothing: %w", file, s.line, err)
		}
	}
	return nil
}

// Same reports whether two templates differ at most in the lines of their sources and in parameters without an effect.
func (t *Template) Same(other *Template) bool {
	a, b := *t, *other
	a.sources, b.sources = nil, nil
	a.Parameters, b.Parameters = nil, nil
	return reflect.DeepEqual(a, b)
}

// readSettings reads the properties that are a name or a number.
func (p *parser) readSettings(s *Function, own *yaml.Node) error {
	timeout, err := p.number(own, "Timeout", 3, 1, 900)
	if err != nil {
		return err
	}
	s.Timeout = time.Duration(timeout) * time.Second
	if s.Memory, err = p.number(own, "MemorySize", 128, 128, 10240); err != nil {
		return err
	}
	if s.Retries, err = p.number(child(own, "EventInvokeConfig"), "MaximumRetryAttempts", 2, 0, 2); err != nil {
		return err
	}
	if s.Reserved, err = p.number(own, "ReservedConcurrentExecutions", 0, 0, 1<<20); err != nil {
		return err
	}
	if s.Name, err = p.text(own, "FunctionName", s.ID); err != nil {
		return err
	}
	if s.Handler, err = p.text(own, "Handler", "bootstrap"); err != nil {
		return err
	}
	return nil
}

// withGlobals returns the properties of a function followed by the global ones. The first property of a name counts.
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

func (p *parser) readVariables(s *Function, n *yaml.Node) error {
	for name, value := range entries(n) {
		s.Declared[name] = true
		v, err := p.eval(value, nil)
		if err != nil {
			return err
		}
		delete(s.Variables, name)
		if text, ok := v.(string); ok {
			s.Variables[name] = text
		}
	}
	return nil
}

// readEvents reads the routes in the Events of a function.
func (p *parser) readEvents(s *Function, n *yaml.Node) error {
	for _, event := range entries(n) {
		api := map[string]API{"HttpApi": HTTPAPI, "Api": RESTAPI}[typeOf(event)]
		if api == "" {
			continue // for example a schedule
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
		p.addRoute(api, method, path, s.ID)
	}
	return nil
}

// Same reports whether a process of one function may serve the other.
func (f *Function) Same(other *Function) bool { return reflect.DeepEqual(f, other) }
