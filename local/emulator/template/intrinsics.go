package template

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unknown is a value that only a deployment knows. absent is AWS::NoValue: as if the property were not there.
type (
	unknown struct{}
	absent  struct{}
)

// evaluator computes the values of a template's nodes: string, []any, map[string]any, unknown or absent. Every scalar is a
// string, because CloudFormation compares scalars as strings.
type evaluator struct {
	file       string
	references map[string]any        // values of Ref: parameters, functions and pseudo parameters
	resources  map[string]bool       // by logical id
	conditions map[string]*yaml.Node // not evaluated yet
	decided    map[string]bool
	mappings   *yaml.Node
}

// intrinsic is a function of the template language.
type intrinsic func(e *evaluator, arg *yaml.Node, vars map[string]any) (any, error)

// intrinsicOf returns nil for an unknown name.
func intrinsicOf(name string) intrinsic {
	switch name {
	case "Ref":
		return (*evaluator).ref
	case "GetAtt":
		return (*evaluator).attribute
	case "Sub":
		return (*evaluator).sub
	case "If":
		return (*evaluator).choose
	case "Equals", "Not", "And", "Or", "Condition":
		return func(e *evaluator, arg *yaml.Node, vars map[string]any) (any, error) {
			yes, err := e.test(name, arg, vars)
			return fmt.Sprint(yes), err
		}
	case "Join":
		return (*evaluator).join
	case "Select":
		return (*evaluator).pick
	case "Split":
		return (*evaluator).split
	case "FindInMap":
		return (*evaluator).find
	case "Base64", "Cidr", "GetAZs", "ImportValue", "Transform", "Length", "ToJsonString":
		return func(*evaluator, *yaml.Node, map[string]any) (any, error) { return unknown{}, nil }
	}
	return nil
}

func (e *evaluator) errorf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", e.file, n.Line, fmt.Sprintf(format, args...))
}

// call returns the name and the argument of the function that a node calls; the name is "" if it calls none.
func call(n *yaml.Node) (name string, arg *yaml.Node) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		plain := *n
		plain.Tag = ""
		return n.Tag[1:], &plain
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		return "", nil
	}
	key, value := n.Content[0].Value, n.Content[1]
	if key == "Ref" || key == "Condition" && value.Kind == yaml.ScalarNode {
		return key, value
	}
	if name, ok := strings.CutPrefix(key, "Fn::"); ok {
		return name, value
	}
	return "", nil
}

// eval returns the value of a node. vars are the variables of the Sub around it.
func (e *evaluator) eval(n *yaml.Node, vars map[string]any) (any, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if name, arg := call(n); name != "" {
		f := intrinsicOf(name)
		if f == nil {
			return nil, e.errorf(n, "there is no intrinsic function %q", name)
		}
		return f(e, arg, vars)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if strings.Contains(n.Value, "{{resolve:") {
			return unknown{}, nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		list, err := e.all(n, vars)
		return slices.DeleteFunc(list, func(v any) bool { return v == absent{} }), err
	}
	values := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := e.eval(n.Content[i+1], vars)
		if err != nil {
			return nil, err
		}
		if v != (absent{}) {
			values[n.Content[i].Value] = v
		}
	}
	return values, nil
}

// all returns the values of the elements of a sequence.
func (e *evaluator) all(n *yaml.Node, vars map[string]any) ([]any, error) {
	list := make([]any, len(n.Content))
	for i, element := range n.Content {
		v, err := e.eval(element, vars)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

// arguments returns the values of a function's arguments, which must be a list of the given length.
func (e *evaluator) arguments(n *yaml.Node, vars map[string]any, length int) ([]any, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != length {
		return nil, e.errorf(n, "this function takes a list of %d", length)
	}
	return e.all(n, vars)
}

// find evaluates FindInMap.
func (e *evaluator) find(n *yaml.Node, vars map[string]any) (any, error) {
	names, err := e.arguments(n, vars, 3)
	if err != nil {
		return nil, err
	}
	at := e.mappings
	for _, name := range names {
		key, ok := name.(string)
		if !ok {
			return unknown{}, nil
		}
		if at = child(at, key); at == nil {
			return nil, e.errorf(n, "Mappings has no %q for this FindInMap", key)
		}
	}
	return e.eval(at, vars)
}

// child returns the value of a key, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
