package template

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ref evaluates Ref. A name may have a suffix: UserFunction.Alias.
func (e *evaluator) ref(n *yaml.Node, _ map[string]any) (any, error) { return e.named(n, n.Value) }

func (e *evaluator) named(n *yaml.Node, name string) (any, error) {
	if v, ok := e.references[name]; ok {
		return v, nil
	}
	if id, _, _ := strings.Cut(name, "."); e.resources[id] || strings.HasPrefix(name, "AWS::") {
		return unknown{}, nil
	}
	return nil, e.errorf(n, "there is no parameter or resource %q", name)
}

// attribute evaluates GetAtt, written "A.B" or [A, B].
func (e *evaluator) attribute(n *yaml.Node, _ map[string]any) (any, error) {
	name := n.Value
	if n.Kind == yaml.SequenceNode {
		var parts []string
		for _, part := range n.Content {
			parts = append(parts, part.Value)
		}
		name = strings.Join(parts, ".")
	}
	return e.named(n, name)
}

// variable is ${name}, or ${!name} for the literal text ${name}.
var variable = regexp.MustCompile(`\$\{(!?)([^}]*)\}`)

// sub evaluates Sub, written as a text or as [text, variables].
func (e *evaluator) sub(n *yaml.Node, vars map[string]any) (any, error) {
	text := n
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) != 2 || n.Content[1].Kind != yaml.MappingNode {
			return nil, e.errorf(n, "Sub takes a text, or a list of a text and its variables")
		}
		text = n.Content[0]
		own, err := e.eval(n.Content[1], vars)
		if err != nil {
			return nil, err
		}
		vars = own.(map[string]any)
	}
	if text.Kind != yaml.ScalarNode {
		return nil, e.errorf(n, "Sub takes a text")
	}
	return e.fill(text, vars)
}

// fill replaces the variables in a text.
func (e *evaluator) fill(text *yaml.Node, vars map[string]any) (any, error) {
	var wrong error
	known := !strings.Contains(text.Value, "{{resolve:")
	result := variable.ReplaceAllStringFunc(text.Value, func(match string) string {
		part := variable.FindStringSubmatch(match)
		if part[1] != "" {
			return "${" + part[2] + "}"
		}
		v, ok := vars[part[2]]
		if !ok {
			var err error
			if v, err = e.named(text, strings.TrimSpace(part[2])); err != nil {
				wrong = err
			}
		}
		s, ok := v.(string)
		known = known && ok
		return s
	})
	if wrong != nil {
		return nil, wrong
	}
	if !known {
		return unknown{}, nil
	}
	return result, nil
}

func (e *evaluator) join(n *yaml.Node, vars map[string]any) (any, error) {
	args, err := e.arguments(n, vars, 2)
	if err != nil {
		return nil, err
	}
	separator, isText := args[0].(string)
	list, isList := args[1].([]any)
	if !isText || !isList {
		return unknown{}, nil
	}
	texts := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return unknown{}, nil
		}
		texts[i] = s
	}
	return strings.Join(texts, separator), nil
}

// pick evaluates Select.
func (e *evaluator) pick(n *yaml.Node, vars map[string]any) (any, error) {
	args, err := e.arguments(n, vars, 2)
	if err != nil {
		return nil, err
	}
	index, isText := args[0].(string)
	list, isList := args[1].([]any)
	if !isText || !isList {
		return unknown{}, nil
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(list) {
		return nil, e.errorf(n, "Select finds no element %s in its list, which begins with 0", index)
	}
	return list[i], nil
}

func (e *evaluator) split(n *yaml.Node, vars map[string]any) (any, error) {
	args, err := e.arguments(n, vars, 2)
	if err != nil {
		return nil, err
	}
	separator, ok1 := args[0].(string)
	text, ok2 := args[1].(string)
	if !ok1 || !ok2 {
		return unknown{}, nil
	}
	var list []any
	for _, part := range strings.Split(text, separator) {
		list = append(list, part)
	}
	return list, nil
}
