package template

import (
	"go.yaml.in/yaml/v3"
)

// choose evaluates If.
func (e *evaluator) choose(n *yaml.Node, vars map[string]any) (any, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != 3 {
		return nil, e.errorf(n, "If takes a list of a condition, its value if true, and its value if false")
	}
	yes, err := e.condition(n, n.Content[0].Value)
	if err != nil {
		return nil, err
	}
	if yes {
		return e.eval(n.Content[1], vars)
	}
	return e.eval(n.Content[2], vars)
}

// condition returns the value of a named condition.
func (e *evaluator) condition(at *yaml.Node, name string) (bool, error) {
	if yes, ok := e.decided[name]; ok {
		return yes, nil
	}
	n, ok := e.conditions[name]
	if !ok {
		return false, e.errorf(at, "there is no condition %q, or it refers to itself", name)
	}
	delete(e.conditions, name)
	yes, err := e.holds(n, nil)
	if err != nil {
		return false, err
	}
	e.decided[name] = yes
	return yes, nil
}

// holds returns the value of a node that is a condition.
func (e *evaluator) holds(n *yaml.Node, vars map[string]any) (bool, error) {
	name, arg := call(n)
	switch name {
	case "Equals", "Not", "And", "Or", "Condition":
		return e.test(name, arg, vars)
	}
	v, err := e.eval(n, vars)
	return v == "true", err
}

// test evaluates a condition function. An unknown value equals no value.
func (e *evaluator) test(name string, n *yaml.Node, vars map[string]any) (bool, error) {
	switch name {
	case "Condition":
		return e.condition(n, n.Value)
	case "Equals":
		args, err := e.arguments(n, vars, 2)
		if err != nil {
			return false, err
		}
		a, ok1 := args[0].(string)
		b, ok2 := args[1].(string)
		return ok1 && ok2 && a == b, nil
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return false, e.errorf(n, "And, Or and Not take a list of conditions")
	}
	all, some := true, false
	for _, element := range n.Content {
		yes, err := e.holds(element, vars)
		if err != nil {
			return false, err
		}
		all, some = all && yes, some || yes
	}
	switch name {
	case "Not":
		return !some, nil
	case "And":
		return all, nil
	}
	return some, nil
}
